/**
 * WIT values as JSON: records by their names, variants as `{"case": value}` or
 * `"case"`, bytes as `{"utf8": …}` or `{"base64": …}`.
 */

import { readFileSync } from 'node:fs';

// What jco generates cannot be asked for its types, and passes a variant in another
// form than a record.
const TYPES = JSON.parse(readFileSync(new URL('../types.json', import.meta.url)));

/** The arguments of a function. Handles are not in the JSON. */
export function toParams(name, args) {
  const types = TYPES[name];
  if (types?.length !== args.length) throw new Error(`${name} is not called like this`);
  return types.map((type, index) => toValue(type, args[index]));
}

function toValue(type, json) {
  if (type === 'u64' || type === 's64') return BigInt(json);
  if (type === 'bytes') return toBytes(json);
  if (typeof type === 'string') return json;
  if (type.list) return json.map((item) => toValue(type.list, item));
  if (type.option) return json === null ? undefined : toValue(type.option, json);
  if (type.record) {
    const fields = Object.entries(type.record);
    return Object.fromEntries(
      fields.map(([name, field]) => [camel(name), toValue(field, json[name])]),
    );
  }
  const [tag, payload] = typeof json === 'string' ? [json] : Object.entries(json)[0];
  const payloadType = type.variant[tag];
  return payloadType ? { tag, val: toValue(payloadType, payload) } : { tag };
}

/** A value as JSON. */
export function fromValue(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return fromBytes(value);
  if (ArrayBuffer.isView(value)) return Array.from(value, fromValue);
  if (Array.isArray(value)) return value.map(fromValue);
  if (typeof value !== 'object') return value;
  if ('tag' in value)
    return 'val' in value && value.val !== undefined
      ? { [value.tag]: fromValue(value.val) }
      : value.tag;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [kebab(name), fromValue(field)]),
  );
}

export function fromBytes(bytes) {
  try {
    return { utf8: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') };
  }
}

/** The byte strings of a record `byte-strings`. */
export function split({ bytes, ends }) {
  const block = toBytes(bytes);
  return ends.map((end, index) => block.subarray(ends[index - 1] ?? 0, end));
}

function toBytes(json) {
  return 'utf8' in json ? Buffer.from(json.utf8) : Buffer.from(json.base64, 'base64');
}

export function camel(name) {
  return name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
}

function kebab(name) {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
