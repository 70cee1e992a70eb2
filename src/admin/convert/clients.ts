/**
 * Clients and their tokens between protobuf and resources. A token's digest never leaves; its fingerprint does.
 */
import type { Client, ClientLimits as LimitsMessage, SigningKey, Token } from "../../gen/types.ts";
import { clientShape, tokenShape } from "../../state/resource-shapes.ts";
import type { ClientResource, SigningKeyResource } from "../../state/resources.ts";
import type { StoredResource } from "../../storage/store.ts";
import { orUndefined, toMetadata } from "./common.ts";

export function toClientResource(message: Client): ClientResource {
  return {
    id: message.id,
    tenant: orUndefined(message.tenant),
    displayName: message.display_name,
    enabled: message.enabled ?? true,
    allowedTools: message.allowed_tools,
    allowedResources: message.allowed_resources,
    allowedPrompts: message.allowed_prompts,
    roles: message.roles,
    allowedOrigins: message.allowed_origins,
    allowedNetworks: message.allowed_networks,
    deniedNetworks: message.denied_networks,
    certificates: message.certificates,
    signingKeys: (message.signing_keys ?? []).map(toSigningKey),
    requireSignatures: message.require_signatures,
    limits: message.limits ? toLimits(message.limits) : {},
  };
}

export function fromClient(stored: StoredResource): Client {
  const client = clientShape(stored.body, "client");
  return {
    id: client.id,
    tenant: client.tenant ?? "",
    display_name: client.displayName,
    enabled: client.enabled,
    allowed_tools: client.allowedTools,
    allowed_resources: client.allowedResources,
    allowed_prompts: client.allowedPrompts,
    roles: client.roles,
    allowed_origins: client.allowedOrigins,
    allowed_networks: client.allowedNetworks ?? [],
    denied_networks: client.deniedNetworks ?? [],
    certificates: client.certificates ?? [],
    signing_keys: (client.signingKeys ?? []).map((key) => ({
      key_id: key.keyId,
      algorithm: key.algorithm,
      public_key: key.publicKey ?? "",
      salt: key.salt ?? "",
    })),
    require_signatures: client.requireSignatures ?? false,
    limits: fromLimits(client.limits),
    metadata: toMetadata(stored),
  };
}

export function fromToken(stored: StoredResource): Token {
  const token = tokenShape(stored.body, "token");
  return {
    id: token.id,
    client_id: token.clientId,
    created_at_ms: token.createdAtMs,
    expires_at_ms: token.expiresAtMs,
    fingerprint: token.digest.slice(0, 16),
  };
}

/** An algorithm that is none is refused with the rest of the client, by name. */
function toSigningKey(message: SigningKey): SigningKeyResource {
  return {
    keyId: message.key_id,
    algorithm: message.algorithm as SigningKeyResource["algorithm"],
    publicKey: orUndefined(message.public_key),
    salt: orUndefined(message.salt),
  };
}

function toLimits(message: LimitsMessage): ClientResource["limits"] {
  return {
    requestsPerMinute: message.requests_per_minute,
    burst: message.burst,
    toolRequestsPerMinute: message.tool_requests_per_minute,
    toolBurst: message.tool_burst,
    maxInFlight: message.max_in_flight,
    requestBytesMax: message.request_bytes_max,
    tier: orUndefined(message.tier),
    serverRequestsPerMinute: message.server_requests_per_minute,
    serverBurst: message.server_burst,
    requestsPer10Seconds: message.requests_per_10_seconds,
    requestsPerHour: message.requests_per_hour,
    requestsPerDay: message.requests_per_day,
  };
}

function fromLimits(limits: ClientResource["limits"]): LimitsMessage {
  return {
    requests_per_minute: limits.requestsPerMinute,
    burst: limits.burst,
    tool_requests_per_minute: limits.toolRequestsPerMinute,
    tool_burst: limits.toolBurst,
    max_in_flight: limits.maxInFlight,
    request_bytes_max: limits.requestBytesMax,
    tier: limits.tier ?? "",
    server_requests_per_minute: limits.serverRequestsPerMinute,
    server_burst: limits.serverBurst,
    requests_per_10_seconds: limits.requestsPer10Seconds,
    requests_per_hour: limits.requestsPerHour,
    requests_per_day: limits.requestsPerDay,
  };
}
