/** A program in place of ztunnel: takes every pod that the agent hands over, serves none, and tells how it was started. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Reactor } from '../../src/io/reactor.ts';
import { eventually } from './eventually.ts';
import { ZdsClient } from './zds-client.ts';

const { INPOD_UDS = '', XDS_ROOT_CA = '' } = process.env;
const report = {
  env: process.env,
  token: readFileSync('var/run/secrets/tokens/istio-token', 'utf8'),
  root: readFileSync(XDS_ROOT_CA, 'utf8'),
};
writeFileSync('report.json', JSON.stringify(report));
const reactor = new Reactor();
reactor.attachToNode();
await eventually('the agent listens', () => existsSync(INPOD_UDS), 60_000);
new ZdsClient(reactor, INPOD_UDS);
