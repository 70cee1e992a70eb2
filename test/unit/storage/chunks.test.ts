/** Lists cut into statements' worth. */
import { expect, test } from "bun:test";
import { chunksOf, powerOfTwoChunks } from "../../../src/storage/chunks.ts";

test.each([
  [[], 2, []],
  [[1], 2, [[1]]],
  [[1, 2], 2, [[1, 2]]],
  [[1, 2, 3], 2, [[1, 2], [3]]],
])("%j by %d", (all, size, chunks) => {
  expect([...chunksOf<number>(all, size)]).toEqual(chunks);
});

test.each([
  [[], []],
  [
    [1, 2, 3],
    [[1, 2], [3]],
  ],
  [
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10], [11]],
  ],
])("%j in powers of two, at most 4", (all, chunks) => {
  expect([...powerOfTwoChunks<number>(all, 4)]).toEqual(chunks);
});
