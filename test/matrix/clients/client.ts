/**
 * What the features ask of a client, whichever line of the SDK and revision it is; and what every client of the matrix
 * answers when a server asks it something.
 */
import type { Values } from "../servers/script.ts";

/** A message that came to the client besides its answers. */
export interface Told {
  readonly method: string;
  readonly params: Values;
}

export interface CallOptions {
  readonly onprogress?: (progress: Values) => void;
  readonly signal?: AbortSignal;
}

export type Answer = { readonly [member: string]: unknown };

export interface MatrixClient extends AsyncDisposable {
  /** Notifications, as they came. */
  readonly heard: readonly Told[];
  /** Questions of the server, as they came. */
  readonly asked: readonly Told[];
  /** What the SDK found wrong with what came. */
  readonly errors: readonly string[];
  readonly isModern: boolean;
  /** What its user sees for a resource that is not there. */
  readonly notFoundCode: number;
  serverCapabilities(): Values;
  listTools(): Promise<readonly ({ readonly name: string } & Values)[]>;
  callTool(name: string, values?: Values, options?: CallOptions): Promise<Answer>;
  listResources(): Promise<readonly Values[]>;
  listResourceTemplates(): Promise<readonly Values[]>;
  readResource(uri: string): Promise<Answer>;
  listPrompts(): Promise<readonly Values[]>;
  getPrompt(name: string, values?: Readonly<Record<string, string>>): Promise<Answer>;
  complete(asking: Completing): Promise<Answer>;
  /** Log messages from this level on belong to later calls. */
  logAt(level: "warning"): Promise<void>;
  /** Changes of the lists and of this resource are heard until it is disposed of. */
  follow(uri: string): Promise<AsyncDisposable>;
}

export interface Completing {
  readonly ref:
    | { readonly type: "ref/prompt"; readonly name: string }
    | { readonly type: "ref/resource"; readonly uri: string };
  readonly argument: { readonly name: string; readonly value: string };
  readonly context?: { readonly arguments: Record<string, string> };
}

/** Where a client connects, and as whom. */
export interface Place {
  /** `http://host:port` */
  readonly base: string;
  /** The server's own scope, where names are its own. */
  readonly scope: string;
  readonly token: string;
  readonly tokenFile: string;
}

export const identity = { name: "matrix-client", version: "1" };
export const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };

/** A person who declines where a form says so, and else fills in the same for every field of a name. */
export function answerForm({ message }: { readonly message: string }) {
  if (message.includes("decline")) return { action: "decline" as const };
  const content: Record<string, string> = message.startsWith("name")
    ? { name: "Ada" }
    : { colour: "green" };
  return { action: "accept" as const, content };
}

export function answerSampling({ messages }: { readonly messages: readonly unknown[] }) {
  const text = `answer to ${JSON.stringify(messages)}`;
  return {
    model: "matrix-model",
    role: "assistant" as const,
    content: { type: "text" as const, text },
  };
}

export const roots = { roots: [{ uri: "file:///work", name: "work" }] };

/** The SDKs' transports take headers in several ways and places; all of them take this. */
export function fetchAs(token: string) {
  return (input: string | URL, init?: RequestInit): Promise<Response> => {
    const headers = new Headers(init?.headers);
    headers.set("authorization", `Bearer ${token}`);
    return fetch(input, { ...init, headers });
  };
}
