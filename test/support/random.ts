/**
 * A small seeded generator for fault tests, so that a run that failed can be repeated: FAULT_SEED and FAULT_CYCLES
 * come from `npm run fault -- --seed S --cycles N`.
 */
export const faultSeed = Number(process.env.FAULT_SEED ?? 20261121);

/** How many cycles to run: `short` in CI, what was asked for by hand. */
export function faultCycles(short: number): number {
  return Number(process.env.FAULT_CYCLES ?? short);
}

/** Numbers from 0 up to and without `below`. */
export function createRandom(seed: number = faultSeed): (below: number) => number {
  let state = seed % 2_147_483_647 || 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}
