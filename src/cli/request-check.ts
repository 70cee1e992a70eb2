/**
 * Holds a request that was written as JSON against the descriptor: protobufjs drops members it does not know and reads
 * an unknown enumeration value as unset, so a misspelt or invented member (`is_admin`) would look accepted (AZ-18).
 * Called by `admin-verbs.ts` before anything is sent; the gateway checks the bytes again.
 */
import { findNearest } from "../lib/nearest.ts";
import { UsageError } from "./command.ts";
import { type Field, listFields } from "./descriptor.ts";

/** Throws UsageError naming the first member that the request cannot have. */
export function checkRequest(messageType: string, request: object): void {
  checkMessage(listFields(messageType), request, "");
}

function checkMessage(fields: readonly Field[], message: object, path: string): void {
  for (const [name, value] of Object.entries(message)) {
    // What the gateway itself writes into every answer: an answer may be sent back changed.
    if (name === "metadata" && path !== "") continue;
    const field = fields.find((one) => one.name === name);
    if (field === undefined) throw new UsageError(adviseMember(fields, path, name));
    checkValue(field, value, path === "" ? name : `${path}.${name}`);
  }
}

function checkValue(field: Field, value: unknown, path: string): void {
  if (value === null || value === undefined) return;
  if (field.isRepeated && !Array.isArray(value)) throw new UsageError(`${path} is a list`);
  const values = field.isRepeated ? (value as readonly unknown[]) : [value];
  for (const one of values) {
    if (field.isMap || field.fields !== undefined) {
      if (!isObject(one)) throw new UsageError(`${path} is an object`);
      if (!field.isMap && field.fields !== undefined) checkMessage(field.fields(), one, path);
    } else if (field.choices !== undefined) {
      if (typeof one !== "string" || !field.choices.includes(one)) {
        throw new UsageError(`${path} is one of ${field.choices.join(", ")}`);
      }
    } else if (typeof one !== scalarOf(field.type)) {
      throw new UsageError(`${path} is a ${scalarOf(field.type)}`);
    }
  }
}

function scalarOf(type: string): "string" | "boolean" | "number" {
  if (type === "bool") return "boolean";
  return type === "string" || type === "bytes" ? "string" : "number";
}

function adviseMember(fields: readonly Field[], path: string, name: string): string {
  const known = fields.map((field) => field.name);
  const nearest = findNearest(name, known);
  const hint = nearest === undefined ? `there are ${known.join(", ")}` : `did you mean ${nearest}?`;
  return `${path === "" ? "the request" : path} has no member "${name}"; ${hint}`;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
