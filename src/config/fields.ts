/**
 * The kinds of fields that configuration is made of, each with its bounds. Used by `schema.ts` and the sections beside it.
 */
import { z } from "zod";
import { isNetwork, networkForm } from "../lib/networks.ts";

// A configuration is parsed once: to generate code for that takes longer than it saves.
z.config({ jitless: true });

export const mebibyte = 1024 * 1024;

// A field shares its kind with the others, and gets its default and its description around it: each step of a chain
// makes a new schema, and a start waits until all of them are made.
const whole = (min: number, max: number) => z.int().min(min).max(max);
const portNumber = whole(0, 65_535);
const counted = whole(1, 1_000_000_000_000);
const countedFromZero = whole(0, 1_000_000_000);
const yesOrNo = z.boolean();
const someText = z.string().min(1);
const networkList = z.array(z.string().refine(isNetwork, networkForm));
const nameList = z.array(someText);

/** As `schema.describe` says it, of a schema that is this field's alone. */
const tell = <Schema extends z.ZodType>(schema: Schema, about: string): Schema => {
  z.globalRegistry.add(schema, { description: about });
  return schema;
};

export const port = (otherwise: number, about: string) =>
  tell(portNumber.default(otherwise), about);
export const count = (otherwise: number, about: string) => tell(counted.default(otherwise), about);
export const atLeastZero = (otherwise: number, about: string) =>
  tell(countedFromZero.default(otherwise), about);
export const flag = (otherwise: boolean, about: string) => tell(yesOrNo.default(otherwise), about);
export const text = (about: string) => someText.describe(about);
/** Addresses and CIDR ranges. */
export const networks = (about: string) => tell(networkList.default([]), about);
export const names = (about: string) => tell(nameList.default([]), about);

/** A section may be left out, and then has all its defaults; no section has a key that must be given. */
export function section<Shape extends z.core.$ZodShape>(shape: Shape, about: string) {
  return tell(z.strictObject(shape).prefault({} as never), about);
}
