/** Log lines for people (tab-separated, key=value) or programs (JSON), with levels that can change while running. */

import { writeSync } from 'node:fs';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;
export type LogFormat = 'plain' | 'json';

/** Text is collected this long at most before it is written; a line at level error is written at once. */
const BATCH_MS = 20;
/** And this much of it at most, in characters. */
const BATCH_CHARACTERS = 64 * 1024;
/** Between fields. */
const SEPARATORS: Readonly<Record<LogFormat, string>> = { plain: ' ', json: ',' };

let format: LogFormat = process.env.LOG_FORMAT === 'json' ? 'json' : 'plain';
let defaultLevel: LogLevel = 'info';
const scopeLevels = new Map<string, LogLevel>();
const loggers = new Map<string, Logger>();
let batch = '';
let stampedSecond = 0;
let stampOfSecond = '';
let batchTimer: NodeJS.Timeout | undefined;
let sink: (text: string) => void = (text) => writeAll(1, text);

/** One named source of log lines; made once per scope by {@link logger}. */
export class Logger {
  readonly scope: string;
  #threshold = 0;

  constructor(scope: string) {
    this.scope = scope;
    this.refresh();
  }

  /** Re-reads this scope's level after a change. */
  refresh(): void {
    this.#threshold = LOG_LEVELS.indexOf(scopeLevels.get(this.scope) ?? defaultLevel);
  }

  enabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= this.#threshold;
  }

  debug(message: string, fields?: LogFields): void {
    this.log('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.log('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.log('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.log('error', message, fields);
  }

  log(level: LogLevel, message: string, fields?: LogFields): void {
    if (!this.enabled(level)) return;
    this.#write(level, message, fields === undefined ? '' : fieldsText(format, fields));
  }

  /** A line whose fields are those of all the parts, in their order. */
  logParts(level: LogLevel, message: string, parts: readonly (LogFields | SharedFields)[]): void {
    if (!this.enabled(level)) return;
    let text = '';
    for (const part of parts) {
      const more = part instanceof SharedFields ? part.text : fieldsText(format, part);
      text = text === '' || more === '' ? text + more : `${text}${SEPARATORS[format]}${more}`;
    }
    this.#write(level, message, text);
  }

  #write(level: LogLevel, message: string, fields: string): void {
    append(lineOf(format, timeStamp(), level, this.scope, message, fields));
    if (level === 'error') flushLog();
  }
}

/** Fields that many lines have in common: turned into text once. */
export class SharedFields {
  readonly #fields: LogFields;
  #format: LogFormat | undefined;
  #text = '';

  constructor(fields: LogFields) {
    this.#fields = fields;
  }

  /** As in a line of the format in force. */
  get text(): string {
    if (this.#format !== format) {
      this.#format = format;
      this.#text = fieldsText(format, this.#fields);
    }
    return this.#text;
  }
}

/** The logger of a scope (`access`, `xds`, …); always the same object for the same scope. */
export function logger(scope: string): Logger {
  let found = loggers.get(scope);
  if (found === undefined) {
    found = new Logger(scope);
    loggers.set(scope, found);
  }
  return found;
}

export function setLogFormat(next: LogFormat): void {
  format = next;
}

/** Where finished text goes; a worker thread sends it to the main thread, which alone writes to standard output. */
export function setLogSink(next: (text: string) => void): void {
  sink = next;
}

/**
 * Applies a specification such as `info`, `access=debug,info` or `xds:debug`: a bare level is the default of all
 * scopes, the rest name one scope each. Returns the first part that is not understood, having changed nothing.
 */
export function setLogLevels(specification: string): string | undefined {
  const parts = specification.split(',').map((part) => part.trim());
  const wrong = parts.find((part) => !isLevel(levelOf(part)));
  if (wrong !== undefined) return wrong;
  for (const part of parts) {
    const cut = part.search(/[=:]/);
    if (cut < 0) defaultLevel = part as LogLevel;
    else scopeLevels.set(part.slice(0, cut), levelOf(part) as LogLevel);
  }
  refreshAll();
  return undefined;
}

export function resetLogLevels(): void {
  defaultLevel = 'info';
  scopeLevels.clear();
  refreshAll();
}

/** `info,access=debug`: the levels in force, in the form that {@link setLogLevels} takes. */
export function logLevels(): string {
  return [defaultLevel, ...[...scopeLevels].map(([scope, level]) => `${scope}=${level}`)].join(',');
}

/** Text that another thread has collected, to be written in its turn. */
export function writeLog(text: string): void {
  flushLog();
  sink(text);
}

/** Writes out what is still collected; call before the process or thread ends. */
export function flushLog(): void {
  if (batchTimer !== undefined) clearTimeout(batchTimer);
  batchTimer = undefined;
  if (batch === '') return;
  const text = batch;
  batch = '';
  sink(text);
}

/** One line of the given format, newline included. Fields that are undefined are left out. */
export function formatLine(
  lineFormat: LogFormat,
  time: string,
  level: LogLevel,
  scope: string,
  message: string,
  fields?: LogFields,
): string {
  const text = fields === undefined ? '' : fieldsText(lineFormat, fields);
  return lineOf(lineFormat, time, level, scope, message, text);
}

function lineOf(
  lineFormat: LogFormat,
  time: string,
  level: LogLevel,
  scope: string,
  message: string,
  fields: string,
): string {
  const more = fields === '' ? '' : `${lineFormat === 'json' ? ',' : '\t'}${fields}`;
  if (lineFormat === 'json') {
    return `{"level":"${level}","time":"${time}","scope":"${scope}","message":${JSON.stringify(message)}${more}}\n`;
  }
  return `${time}\t${level}\t${scope}\t${oneLine(message)}${more}\n`;
}

/** Fields as they are within a line. */
function fieldsText(lineFormat: LogFormat, fields: LogFields): string {
  if (lineFormat === 'json') return JSON.stringify(fields).slice(1, -1);
  let text = '';
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    if (text !== '') text += SEPARATORS.plain;
    text += `${key}=${typeof value === 'string' ? quoteIfNeeded(value) : value}`;
  }
  return text;
}

/** Of now, in milliseconds. All but those is put together once a second: it takes longer than the rest of a line. */
function timeStamp(): string {
  const nowMs = Date.now();
  const second = Math.floor(nowMs / 1000);
  if (second !== stampedSecond) {
    stampedSecond = second;
    stampOfSecond = new Date(second * 1000).toISOString().slice(0, -'000Z'.length);
  }
  return `${stampOfSecond}${String(nowMs - second * 1000).padStart(3, '0')}Z`;
}

/** A peer's text must not be able to forge a second line or a field. */
function quoteIfNeeded(value: string): string {
  return /^[\w.:/@[\]-]+$/.test(value) ? value : JSON.stringify(value);
}

function oneLine(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ');
}

function levelOf(part: string): string {
  return part.slice(part.search(/[=:]/) + 1);
}

function isLevel(text: string): text is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(text);
}

function refreshAll(): void {
  for (const one of loggers.values()) one.refresh();
}

function append(line: string): void {
  batch += line;
  if (batch.length >= BATCH_CHARACTERS) flushLog();
  else batchTimer ??= setTimeout(flushLog, BATCH_MS).unref();
}

/** Standard output may be a full pipe: EAGAIN is waited out, a vanished reader is not an error of ours. */
function writeAll(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

// Processes that are not told otherwise take their levels from the environment, as they take LOG_FORMAT.
if (process.env.LOG_LEVEL !== undefined) setLogLevels(process.env.LOG_LEVEL);
