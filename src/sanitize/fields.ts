/**
 * Which field names hold secrets. Names are split into words (camelCase, snake_case, kebab-case) and whole words are
 * compared, so `apiKey` is one and `monkey`, `keywords` and `nextCursor` are not. Pure; used by `redact.ts`.
 */
/** A name with one of these words holds a secret, wherever the word stands. */
const secretWords = new Set([
  "password",
  "passwords",
  "passwd",
  "passcode",
  "passphrase",
  "pwd",
  "secret",
  "secrets",
  "credential",
  "credentials",
  "authorization",
  "token",
  "tokens",
  "jwt",
  "ssn",
  "cvv",
  "cvc",
  "apikey",
  "apikeys",
  "accesskey",
  "accesstoken",
  "authtoken",
  "bearertoken",
  "clientsecret",
  "creditcard",
  "privatekey",
  "refreshtoken",
  "secretkey",
  "sessiontoken",
]);

/** Two words that hold a secret together, first word to the second ones it goes with. */
const secretPairs: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["api", new Set(["key", "keys"])],
  ["access", new Set(["key", "keys"])],
  ["private", new Set(["key", "keys"])],
  ["signing", new Set(["key", "keys"])],
  ["encryption", new Set(["key", "keys"])],
  ["master", new Set(["key", "keys"])],
  ["ssh", new Set(["key", "keys"])],
  ["credit", new Set(["card", "cards"])],
  ["card", new Set(["number", "numbers"])],
  ["social", new Set(["security"])],
  ["session", new Set(["cookie", "cookies"])],
  ["set", new Set(["cookie", "cookies"])],
  ["auth", new Set(["header", "key"])],
]);

/** `nextPageToken` and its like are positions in a list, `progressToken` the protocol's own. */
const harmlessTokens = new Set([
  "next",
  "page",
  "previous",
  "prev",
  "continuation",
  "pagination",
  "progress",
]);

/** A name that ends so speaks about the secret: `tokenType`, `passwordPolicy`, `secretsCount`. */
const harmlessEndings = new Set([
  "type",
  "types",
  "count",
  "counts",
  "limit",
  "length",
  "policy",
  "expiry",
  "expires",
  "expiration",
  "at",
  "in",
  "enabled",
  "required",
  "strength",
  "usage",
]);

/**
 * Every sensitive name contains one of these stems; texts and names without any need no closer look. Grouped by first
 * letters, which takes a quarter off the search of a long text.
 */
const stems =
  /authorization|c(?:ard|ookie|red|vc|vv)|header|jwt|key|p(?:ass|wd)|s(?:ecret|ocial|sn)|token/i;
/** An escape may hide a stem from the search. */
const escapeMark = "\\u";
const nameLengthMax = 256;

/** What counts as sensitive: the built-in vocabulary, or that with an operator's changes. */
export interface SensitiveNames {
  /** A cheap look at source text: false means that no sensitive field name can occur in it. */
  mayOccurIn(text: string): boolean;
  /** Whether the value of a field of this (decoded) name must be masked. */
  includes(name: string): boolean;
  /** Whether even its yes or no tells too much: so of names that a profile lists. */
  isListed?(name: string): boolean;
}

/** Exactly these names, besides those of `base`; compared whole and in any case. */
export function withListedNames(
  base: SensitiveNames | undefined,
  fields: readonly string[],
): SensitiveNames {
  const listed = new Set(fields.map((name) => name.toLowerCase()));
  const isListed = (name: string) => listed.has(name.toLowerCase());
  return {
    mayOccurIn: (text) => {
      if (base?.mayOccurIn(text) || text.includes(escapeMark)) return true;
      const lower = text.toLowerCase();
      return [...listed].some((name) => lower.includes(name));
    },
    includes: (name) => isListed(name) || base?.includes(name) === true,
    isListed,
  };
}

/** The built-in vocabulary with names added and names excepted, both compared whole and in any case. */
export function createSensitiveNames(
  extraFields: readonly string[],
  excludedFields: readonly string[],
): SensitiveNames {
  const extra = new Set(extraFields.map((name) => name.toLowerCase()));
  const excluded = new Set(excludedFields.map((name) => name.toLowerCase()));
  return {
    mayOccurIn: (text) => {
      if (mayHoldSecrets(text)) return true;
      if (extra.size === 0) return false;
      const lower = text.toLowerCase();
      return [...extra].some((name) => lower.includes(name));
    },
    includes: (name) => {
      const lower = name.toLowerCase();
      if (excluded.has(lower)) return false;
      return extra.has(lower) || isSensitiveName(name);
    },
  };
}

export const builtInNames: SensitiveNames = {
  mayOccurIn: mayHoldSecrets,
  includes: isSensitiveName,
};

/** A cheap look at source text: false means that no sensitive field name can occur in it. */
export function mayHoldSecrets(text: string): boolean {
  return stems.test(text) || text.includes(escapeMark);
}

/** Verdicts on names met before; names repeat from reply to reply. Emptied when full, so it stays bounded. */
const judged = new Map<string, boolean>();
const judgedMax = 4096;

/** Whether the value of a field of this (decoded) name must be masked. */
export function isSensitiveName(name: string): boolean {
  if (!stems.test(name)) return false;
  // Nobody names a field so; whoever does gets the safe answer rather than the work.
  if (name.length > nameLengthMax) return true;
  const known = judged.get(name);
  if (known !== undefined) return known;
  if (judged.size >= judgedMax) judged.clear();
  const verdict = holdsSecret(splitWords(name));
  judged.set(name, verdict);
  return verdict;
}

function holdsSecret(words: readonly string[]): boolean {
  if (harmlessEndings.has(words.at(-1) ?? "")) return false;
  return words.some((word, index) => {
    const before = words[index - 1] ?? "";
    if (secretPairs.get(before)?.has(word)) return true;
    if (word === "token" || word === "tokens") return !harmlessTokens.has(before);
    return secretWords.has(word);
  });
}

/** `HTTPApiKey2` is `http`, `api`, `key`. */
function splitWords(name: string): readonly string[] {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== "");
}
