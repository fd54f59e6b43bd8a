/** Runs in a pod: an admission webhook that refuses objects which are labelled `forbidden`. Key and certificate come by environment. */

import { createServer } from 'node:https';

interface AdmissionReview {
  readonly apiVersion: string;
  readonly kind: string;
  readonly request: {
    readonly uid: string;
    readonly object: { readonly metadata: { readonly labels?: Readonly<Record<string, string>> } };
  };
}

const { TLS_KEY: key, TLS_CERTIFICATE: cert } = process.env;

function answer({ apiVersion, kind, request }: AdmissionReview): object {
  const allowed = request.object.metadata.labels?.forbidden === undefined;
  const response = { uid: request.uid, allowed, status: { message: 'refused by the webhook of the test' } };
  return { apiVersion, kind, response };
}

createServer({ key, cert }, async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  response.setHeader('content-type', 'application/json');
  // A probe asks with GET.
  response.end(text === '' ? '{}' : JSON.stringify(answer(JSON.parse(text) as AdmissionReview)));
}).listen(8443);
