/** Cuts a list into statements' worth of rows. Pure; used by the SQL files of this folder. */

/** Consecutive slices of at most `size`, none of them empty. */
export function* chunksOf<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += size) yield all.slice(start, start + size);
}

/** Cuts a list into pieces of falling powers of two, at most `max`: few lengths, however long the list. */
export function* powerOfTwoChunks<T>(list: readonly T[], max: number): Generator<readonly T[]> {
  for (let from = 0; from < list.length; ) {
    const length = 2 ** Math.floor(Math.log2(Math.min(list.length - from, max)));
    yield list.slice(from, from + length);
    from += length;
  }
}
