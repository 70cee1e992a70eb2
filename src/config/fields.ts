/**
 * The kinds of fields that configuration is made of, each with its bounds. Used by `schema.ts` and the sections beside it.
 */
import { z } from "zod";
import { isNetwork, networkForm } from "../lib/networks.ts";

export const mebibyte = 1024 * 1024;

export const port = (otherwise: number, about: string) =>
  z.int().min(0).max(65_535).default(otherwise).describe(about);
export const count = (otherwise: number, about: string) =>
  z.int().min(1).max(1_000_000_000_000).default(otherwise).describe(about);
export const atLeastZero = (otherwise: number, about: string) =>
  z.int().min(0).max(1_000_000_000).default(otherwise).describe(about);
export const flag = (otherwise: boolean, about: string) =>
  z.boolean().default(otherwise).describe(about);
export const text = (about: string) => z.string().min(1).describe(about);
/** Addresses and CIDR ranges. */
export const networks = (about: string) =>
  z.array(z.string().refine(isNetwork, networkForm)).default([]).describe(about);
export const names = (about: string) => z.array(z.string().min(1)).default([]).describe(about);

/** A section may be left out, and then has all its defaults; no section has a key that must be given. */
export function section<Shape extends z.core.$ZodShape>(shape: Shape, about: string) {
  return z
    .strictObject(shape)
    .prefault({} as never)
    .describe(about);
}
