/** Lists cut into statements' worth. */
import { expect, test } from "bun:test";
import { chunksOf } from "../../../src/storage/chunks.ts";

test.each([
  [[], 2, []],
  [[1], 2, [[1]]],
  [[1, 2], 2, [[1, 2]]],
  [[1, 2, 3], 2, [[1, 2], [3]]],
])("%j by %d", (all, size, chunks) => {
  expect([...chunksOf<number>(all, size)]).toEqual(chunks);
});
