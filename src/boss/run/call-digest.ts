import { hash } from "node:crypto";
import type { CallRequest } from "../../../runtime/host/host.js";

/** Alike for alike calls, whatever order their options were written in. Stored, so it must stay as it is. */
export function digestOf({ worker, request }: CallRequest): string {
  return hash(
    "sha256",
    `[["request",${textOf(request)}],["worker",${textOf(worker)}]]`,
    "base64url",
  );
}

/** JSON in which an object is the list of its fields, by their names. */
function textOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`;
  let fields = "";
  for (const key of inOrder(Object.keys(value))) {
    const field: unknown = Reflect.get(value, key);
    if (field === undefined) continue;
    fields += `${fields && ","}[${JSON.stringify(key)},${textOf(field)}]`;
  }
  return `[${fields}]`;
}

/** They are few: the general way to sort takes longer than all the rest. */
function inOrder(keys: string[]): string[] {
  for (let end = 1; end < keys.length; end++) {
    for (let at = end; at > 0 && keys[at]! < keys[at - 1]!; at--) {
      const key = keys[at]!;
      keys[at] = keys[at - 1]!;
      keys[at - 1] = key;
    }
  }
  return keys;
}
