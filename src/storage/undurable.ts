/** Of a server that may lose what it says is committed, under a preset that must not have that. */
export class UndurableError extends Error {
  constructor(off: readonly string[]) {
    super(
      `refused under this preset (undurable-database): the server runs without ${off.join(" and ")}: ` +
        "it may lose or spoil what it said was committed; turn them on",
    );
  }
}
