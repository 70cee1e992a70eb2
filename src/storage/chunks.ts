/** Cuts a list into statements' worth of rows. Pure; used by the SQL files of this folder. */

/** Consecutive slices of at most `size`, none of them empty. */
export function* chunksOf<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += size) yield all.slice(start, start + size);
}
