/**
 * The admin services as the generated descriptor tells them: which RPCs there are, what their requests hold. The verbs
 * of the command line and their flags are read from here, so a new RPC has its verb without a line of code.
 */
import descriptor from "../gen/descriptor.json" with { type: "json" };

export const adminPackage = "mcp_gateway.admin.v1";

export interface Rpc {
  readonly service: string;
  readonly name: string;
  /** Verb of the command line: the shortest name that is unambiguous within the noun. */
  readonly verb: string;
  /** The RPC's whole name in kebab-case, also accepted. */
  readonly longVerb: string;
  readonly requestType: string;
  readonly isStream: boolean;
}

export interface Field {
  readonly name: string;
  readonly type: string;
  readonly isRepeated: boolean;
  readonly isMap: boolean;
  /** The field's own fields, where it is a message. */
  readonly fields: (() => readonly Field[]) | undefined;
  /** The names of its values, where it is an enumeration. */
  readonly choices: readonly string[] | undefined;
}

interface Node {
  readonly nested?: Readonly<Record<string, Node>>;
  readonly fields?: Readonly<Record<string, FieldNode>>;
  readonly methods?: Readonly<Record<string, MethodNode>>;
  readonly values?: Readonly<Record<string, number>>;
}

interface FieldNode {
  readonly type: string;
  readonly rule?: string;
  readonly keyType?: string;
}

interface MethodNode {
  readonly requestType: string;
  readonly responseStream?: boolean;
}

/** What an RPC's name may leave out, because the noun on the command line already says it. */
const impliedWords: Readonly<Record<string, readonly string[]>> = {
  client: ["client", "clients"],
  server: ["server", "servers"],
  retention: ["rule", "rules", "retention"],
  revocation: ["tokens", "revocation", "revocations"],
  grant: ["grant", "grants"],
  audit: ["record", "records"],
  key: ["keys"],
};

const messages = findPackage(descriptor);

/** The RPCs of the service behind a noun: `client` is ClientService. Empty where there is none. */
export function listRpcs(noun: string): readonly Rpc[] {
  const service = `${noun.charAt(0).toUpperCase()}${noun.slice(1)}Service`;
  const methods = Object.entries(messages[service]?.methods ?? {});
  return methods.map(([name, method]) => {
    const longVerb = name.replace(/(?<!^)[A-Z]/g, "-$&").toLowerCase();
    const words = longVerb.split("-");
    const isImplied = words.length === 2 && impliedWords[noun]?.includes(words[1] ?? "");
    return {
      service: `${adminPackage}.${service}`,
      name,
      verb: (isImplied ? words[0] : undefined) ?? longVerb,
      longVerb,
      requestType: method.requestType,
      isStream: method.responseStream === true,
    };
  });
}

/** The nouns that have a service. */
export function listNouns(): readonly string[] {
  return Object.entries(messages)
    .filter(([, node]) => node.methods !== undefined)
    .map(([name]) => name.replace(/Service$/, "").toLowerCase());
}

/** The fields of a message; metadata is set by the gateway and left out. */
export function listFields(messageType: string): readonly Field[] {
  const fields = Object.entries(messages[shortName(messageType)]?.fields ?? {});
  return fields
    .filter(([name]) => name !== "metadata")
    .map(([name, { type, rule, keyType }]) => {
      const target = messages[shortName(type)];
      return {
        name,
        type,
        isRepeated: rule === "repeated",
        isMap: keyType !== undefined,
        fields: target?.fields === undefined ? undefined : () => listFields(type),
        choices: target?.values === undefined ? undefined : Object.keys(target.values),
      };
    });
}

function shortName(type: string): string {
  return type.slice(type.lastIndexOf(".") + 1);
}

function findPackage(root: Node): Readonly<Record<string, Node>> {
  let node: Node | undefined = root;
  for (const step of adminPackage.split(".")) node = node?.nested?.[step];
  return node?.nested ?? {};
}
