/** Whether a connection to a workload is allowed, by which policy, and why. */

import type { Authorization } from './authorization.ts';
import { type CompiledMatch, type CompiledPolicy, clauseMatches, type Mismatch } from './compiled-policy.ts';
import type { PolicySet } from './policy-set.ts';
import { type PolicyConnection, PolicySubject } from './policy-subject.ts';

export interface PolicyVerdict {
  readonly allowed: boolean;
  /** For a denial the text that Istio's users know from their logs. */
  readonly reason: string;
  /** `namespace/name` of a policy that decided; absent when the presence or absence of policies did. */
  readonly policy?: string;
}

export interface PolicyDecision extends PolicyVerdict {
  /** What the verdict would be if the dry-run policies were in force; absent when none applies to the workload. */
  readonly dryRun?: PolicyVerdict;
}

const ALLOWED_WITHOUT_POLICY: PolicyVerdict = { allowed: true, reason: 'no allow policy applies' };
const NOT_ALLOWED: PolicyVerdict = { allowed: false, reason: 'allow policies exist, but none allowed' };

/**
 * Decides as the proxy of the destination: a matching DENY policy denies; else without ALLOW policies everything is
 * allowed, and with them what one of them matches.
 */
export function evaluate(policies: PolicySet, connection: PolicyConnection): PolicyDecision {
  if (policies.isEmpty) return ALLOWED_WITHOUT_POLICY;
  return decide(policies, new PolicySubject(connection));
}

function decide(policies: PolicySet, subject: PolicySubject): PolicyDecision {
  const enforced = verdict(policies, subject, false);
  return policies.hasDryRun ? { ...enforced, dryRun: verdict(policies, subject, true) } : enforced;
}

function verdict(policies: PolicySet, subject: PolicySubject, withDryRun: boolean): PolicyVerdict {
  const denying = policies.firstMatch('DENY', subject, withDryRun)?.name;
  if (denying !== undefined) {
    return { allowed: false, reason: `explicitly denied by: ${denying}`, policy: denying };
  }
  if (!policies.hasAllow(withDryRun)) return ALLOWED_WITHOUT_POLICY;
  const allowing = policies.firstMatch('ALLOW', subject, withDryRun)?.name;
  if (allowing === undefined) return NOT_ALLOWED;
  return { allowed: true, reason: `allowed by: ${allowing}`, policy: allowing };
}

/** A match with the list that the connection fails; absent when it matches. */
export interface MatchExplanation {
  readonly mismatch?: Mismatch;
}

export interface ClauseExplanation {
  readonly matched: boolean;
  readonly matches: readonly MatchExplanation[];
}

export interface RuleExplanation {
  readonly matched: boolean;
  readonly clauses: readonly ClauseExplanation[];
}

export interface PolicyExplanation {
  readonly policy: Authorization;
  readonly matched: boolean;
  readonly rules: readonly RuleExplanation[];
}

export interface DecisionExplanation {
  readonly decision: PolicyDecision;
  /** Every policy that applies to the workload. */
  readonly policies: readonly PolicyExplanation[];
  /** Policies that the workload names and the control plane has not sent. */
  readonly unknownPolicies: readonly string[];
}

/** The same decision with the part that every applying policy had in it. */
export function explain(policies: PolicySet, connection: PolicyConnection): DecisionExplanation {
  const subject = new PolicySubject(connection);
  return {
    decision: decide(policies, subject),
    policies: policies.policies().map((policy) => explainPolicy(policy, subject)),
    unknownPolicies: policies.unknown,
  };
}

function explainPolicy(policy: CompiledPolicy, subject: PolicySubject): PolicyExplanation {
  return {
    policy: policy.authorization,
    matched: policy.matches(subject),
    rules: policy.rules.map((rule) => ({
      matched: rule.matches(subject),
      clauses: rule.clauses.map((clause) => ({
        matched: clauseMatches(clause, subject),
        matches: clause.map((match) => explainMatch(match, subject)),
      })),
    })),
  };
}

function explainMatch(match: CompiledMatch, subject: PolicySubject): MatchExplanation {
  const mismatch = match.mismatch(subject);
  return mismatch === undefined ? {} : { mismatch };
}
