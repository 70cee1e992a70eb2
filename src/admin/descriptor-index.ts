/**
 * Splits a FileDescriptorSet into its files' raw bytes and says which file holds which symbol. The bytes are served
 * untouched: re-encoded descriptors lose their dependency list, and strict clients then find no service.
 */

export interface DescriptorFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly dependencies: readonly string[];
  readonly services: readonly string[];
}

export interface DescriptorIndex {
  readonly services: readonly string[];
  /** The file and everything it imports, itself first. */
  byFilename(name: string): readonly DescriptorFile[] | undefined;
  /** The same for the file that declares a message, enumeration, service or method, by full name. */
  bySymbol(symbol: string): readonly DescriptorFile[] | undefined;
}

/** Field numbers of google.protobuf's descriptor.proto. */
const setFile = 1;
const file = { name: 1, package: 2, dependency: 3, message: 4, enumeration: 5, service: 6 };
const declarationName = 1;
const messageNested = 3;
const messageEnumeration = 4;
const serviceMethod = 2;

export function buildDescriptorIndex(set: Uint8Array): DescriptorIndex {
  const files = new Map<string, DescriptorFile>();
  const symbols = new Map<string, string>();
  for (const bytes of fields(set, setFile)) {
    const read = readFile(bytes);
    files.set(read.name, read);
    for (const symbol of symbolsOf(bytes)) symbols.set(symbol, read.name);
  }
  const byFilename = (name: string) => (files.has(name) ? closure(files, name) : undefined);
  return {
    services: [...files.values()].flatMap((one) => one.services).sort(),
    byFilename,
    bySymbol: (symbol) => byFilename(symbols.get(symbol.replace(/^\./, "")) ?? ""),
  };
}

function closure(files: ReadonlyMap<string, DescriptorFile>, first: string): DescriptorFile[] {
  const found = new Map<string, DescriptorFile>();
  const waiting = [first];
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const one = files.get(name);
    if (one === undefined || found.has(name)) continue;
    found.set(name, one);
    waiting.push(...one.dependencies);
  }
  return [...found.values()];
}

function readFile(bytes: Uint8Array): DescriptorFile {
  const space = firstText(bytes, file.package);
  return {
    name: firstText(bytes, file.name),
    bytes,
    dependencies: fields(bytes, file.dependency).map(toText),
    services: fields(bytes, file.service).map((one) =>
      join(space, firstText(one, declarationName)),
    ),
  };
}

function symbolsOf(bytes: Uint8Array): string[] {
  const space = firstText(bytes, file.package);
  const services = fields(bytes, file.service).flatMap((one) => {
    const name = join(space, firstText(one, declarationName));
    const methods = fields(one, serviceMethod).map((m) =>
      join(name, firstText(m, declarationName)),
    );
    return [name, ...methods];
  });
  return [
    ...services,
    ...fields(bytes, file.enumeration).map((one) => join(space, firstText(one, declarationName))),
    ...fields(bytes, file.message).flatMap((one) => messageSymbols(space, one)),
  ];
}

function messageSymbols(space: string, bytes: Uint8Array): string[] {
  const name = join(space, firstText(bytes, declarationName));
  const enumerations = fields(bytes, messageEnumeration);
  return [
    name,
    ...enumerations.map((one) => join(name, firstText(one, declarationName))),
    ...fields(bytes, messageNested).flatMap((one) => messageSymbols(name, one)),
  ];
}

/** The length-delimited fields with this number, in order. The input is our own build product. */
function fields(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("the file descriptor set is cut short");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const wireType = key & 7;
    if (wireType === 0) varint();
    else if (wireType === 2) {
      const end = varint() + at;
      if (key >>> 3 === wanted) found.push(bytes.subarray(at, end));
      at = end;
    } else at += wireType === 1 ? 8 : 4;
  }
  return found;
}

function firstText(bytes: Uint8Array, wanted: number): string {
  const [first] = fields(bytes, wanted);
  return first === undefined ? "" : toText(first);
}

function toText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function join(space: string, name: string): string {
  return space === "" ? name : `${space}.${name}`;
}
