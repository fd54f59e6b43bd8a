/** The plugin's own part of the network configuration, as the installer writes it and the plugin reads it. */

import { messageOf } from '../../base/errors.ts';
import {
  DEFAULT_ENABLEMENT_SELECTORS,
  type EnablementSelector,
  parseEnablementSelectors,
} from '../enablement-selector.ts';
import type { EnrolmentSettings } from '../enrolment-decision.ts';
import { CNI_CODES, CniError } from './cni-error.ts';
import type { JsonObject } from './invocation.ts';

/** CNI type, which is also the name of the executable. */
export const PLUGIN_TYPE = 'ambit-cni';
/** Files in the agent's run directory on the node. */
export const PLUGIN_SOCKET_NAME = 'pluginevent.sock';
export const KUBECONFIG_NAME = 'ambit-cni-kubeconfig';

export interface PluginConfig {
  /** Where the agent's socket and the kubeconfig are, as the node sees it. */
  readonly runDir: string;
  readonly settings: EnrolmentSettings;
}

/** The entry of a list of plugins; `cniVersion` and `name` come from the list. */
export function pluginEntry(config: PluginConfig): JsonObject {
  const { runDir, settings } = config;
  return {
    type: PLUGIN_TYPE,
    runDir,
    excludeNamespaces: settings.excludedNamespaces,
    enablementSelectors: settings.selectors,
  };
}

/** @throws CniError when somebody has written something else there */
export function readPluginConfig(config: JsonObject): PluginConfig {
  const { runDir, excludeNamespaces = [], enablementSelectors } = config;
  if (typeof runDir !== 'string' || !runDir.startsWith('/')) throw invalid('runDir is not an absolute path');
  if (!isListOfTexts(excludeNamespaces)) throw invalid('excludeNamespaces is not a list of names');
  const selectors =
    enablementSelectors === undefined ? DEFAULT_ENABLEMENT_SELECTORS : readSelectors(enablementSelectors);
  return { runDir, settings: { selectors, excludedNamespaces: excludeNamespaces } };
}

function readSelectors(value: unknown): readonly EnablementSelector[] {
  try {
    return parseEnablementSelectors(JSON.stringify(value));
  } catch (thrown) {
    throw invalid(messageOf(thrown));
  }
}

function isListOfTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function invalid(what: string): CniError {
  return new CniError(CNI_CODES.invalidConfiguration, `configuration of ${PLUGIN_TYPE}: ${what}`);
}
