/**
 * What an operator registers about one MCP server: how to reach it and what to trust about it. Plain values;
 * `admin/convert` fills it from protobuf, `state/build` puts it in the snapshot, `servers/pool` acts on it.
 */
export type ServerTransport =
  | {
      readonly kind: "stdio";
      readonly command: string;
      readonly args: readonly string[];
      /** Added to the minimal environment (HOME, LOGNAME, PATH, SHELL, TERM, USER). */
      readonly environment: Readonly<Record<string, string>>;
      readonly workingDirectory: string | undefined;
    }
  | {
      readonly kind: "streamable-http" | "http-sse" | "websocket";
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
    };

/** How the gateway gets tokens for a server; `credentials/` does it. */
export interface OAuthClient {
  /**
   * `client-credentials`: one token of the gateway's own for every call. `token-exchange`: for each user a token made
   * from the one they came with (RFC 8693), and the gateway's own for what it asks by itself. `authorization-code`:
   * for each user what they allowed in a browser; nothing is asked without it.
   */
  readonly grant: "client-credentials" | "token-exchange" | "authorization-code";
  readonly clientId: string;
  /** One of these two proves the client; a public one, which only `authorization-code` may be, has neither. */
  readonly clientSecret?: string | undefined;
  /** PKCS #8 PEM; the assertion's algorithm goes by the key. */
  readonly privateKey?: string | undefined;
  /** `kid` of the assertion, where the authorization server wants one. */
  readonly keyId?: string | undefined;
  /** The one authorization server that may see the client's secret. */
  readonly issuer?: string | undefined;
  /** Given instead of found by the issuer's metadata. */
  readonly tokenUrl?: string | undefined;
  /** How the secret is shown; undefined = as the metadata says. */
  readonly secretIn?: "header" | "body" | undefined;
  /** Undefined = what the server asks for. */
  readonly scopes?: readonly string[] | undefined;
  /** RFC 8707; undefined = what the server calls itself, else its URL. */
  readonly resource?: string | undefined;
  /** `audience` of a token exchange, where the authorization server wants one. */
  readonly audience?: string | undefined;
}

/** How the gateway proves itself to a server, besides the headers of its transport. */
export interface ServerAuth {
  /** Sent as `X-Gateway-Auth` with every request. */
  readonly gatewaySecret?: string | undefined;
  /** Who calls is told in `X-User-ID`; only where something proves that the gateway says so. */
  readonly tellsUser: boolean;
  readonly oauth?: OAuthClient | undefined;
}

/** How sensitive what a server handles is, from harmless to worst; records carry it, retention goes by it. */
export const dataClasses = [
  "PUBLIC",
  "INTERNAL",
  "CONFIDENTIAL",
  "RESTRICTED",
  "PERSONAL",
  "SENSITIVE_PERSONAL",
] as const;
export type DataClass = (typeof dataClasses)[number];

export interface ToolSetting {
  /** The tool's own name on its server. */
  readonly tool: string;
  /**
   * The operator vouches that the tool changes nothing: its calls are recorded in class B instead of A, unless the
   * server's data is classified above INTERNAL.
   */
  readonly readOnly: boolean;
  /** Replies may be kept this long; 0 = never cached. */
  readonly cacheTtlMs: number;
  /** Cached replies may be shared between principals. Off unless the operator says so. */
  readonly cachePublic: boolean;
  /** How much harm a call can do; rules ask for it by name. Undefined = low. */
  readonly riskTier?: "low" | "medium" | "high" | "critical" | undefined;
  /** One of these roles is needed, whatever else grants the tool. */
  readonly requiredRoles?: readonly string[] | undefined;
  /** Tokens that a call takes from its caller's buckets. Undefined = 1. */
  readonly cost?: number | undefined;
  /** Its calls are recorded at least this surely. A+: an answer also waits until the database has the record. */
  readonly auditClass?: "A+" | "A" | undefined;
}

export interface ServerSpec {
  /** `[a-z0-9][a-z0-9-]{0,62}`; also the name of its scope. Never contains `__`. */
  readonly name: string;
  /** Undefined = for every tenant; else principals of other tenants see no such server. */
  readonly tenant?: string | undefined;
  readonly description: string;
  readonly transport: ServerTransport;
  readonly era: "auto" | "legacy" | "modern";
  readonly enabled: boolean;
  /** Time allowed for a connection and its opening handshake. */
  readonly connectTimeoutMs: number;
  /** Time allowed for an answer. */
  readonly callTimeoutMs: number;
  /** Largest answer accepted, in bytes. */
  readonly responseBytesMax: number;
  readonly maxInFlight: number;
  /** How long list results may be kept; 0 = not cached. */
  readonly listTtlMs: number;
  /** Lists do not depend on who asks, so their cache may be shared between principals. */
  readonly listsPublic: boolean;
  /** One for each tool, found by `toolSettingOf`. */
  readonly toolSettings: readonly ToolSetting[];
  readonly dataClass: DataClass;
  /** Addresses in private ranges and plain http are refused unless set. Loopback development needs it. */
  readonly allowPrivateNetwork: boolean;
  readonly auth?: ServerAuth | undefined;
}

const settingsByTool = new WeakMap<readonly ToolSetting[], ReadonlyMap<string, ToolSetting>>();

/** What an operator said of a tool of the server. */
export function toolSettingOf(
  { toolSettings }: Pick<ServerSpec, "toolSettings">,
  tool: string,
): ToolSetting | undefined {
  if (toolSettings.length === 0) return undefined;
  let byTool = settingsByTool.get(toolSettings);
  if (byTool === undefined) {
    byTool = new Map(toolSettings.map((setting) => [setting.tool, setting]));
    settingsByTool.set(toolSettings, byTool);
  }
  return byTool.get(tool);
}
