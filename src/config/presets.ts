/**
 * The four named starting points: values laid under the configuration file. What a strict preset refuses is in
 * `risks.ts`. Pure data; `load.ts` reads it.
 */
import type { ConfigInput } from "./schema.ts";

export const presetNames = ["development", "production", "high_security", "gdpr_focused"] as const;
export type PresetName = (typeof presetNames)[number];

const development: ConfigInput = {
  // A laptop's disk, or a virtual one, may take its time; nobody there waits for a class A promise.
  audit: { deadline_ms: 2_000 },
  servers: { allow_private_network: true },
};

const production: ConfigInput = {
  agents: { host: "0.0.0.0" },
};

const highSecurity: ConfigInput = {
  agents: {
    host: "0.0.0.0",
    http_sse: false,
    body_bytes_max: 1024 * 1024,
    session_idle_seconds: 600,
    connections_per_peer_max: 100,
  },
  admin: { reflection: false },
  policy: { two_person: true, max_stale_seconds: 300 },
  limits: {
    requests_per_minute: 300,
    burst: 600,
    max_in_flight: 16,
    failed_auth_per_minute: 10,
  },
  cache: { ttl_seconds_max: 300 },
};

const gdprFocused: ConfigInput = {
  agents: { host: "0.0.0.0" },
  cache: { ttl_seconds_max: 300 },
  audit: { keep_shipped_hours: 1 },
  retention: { interval_minutes: 15 },
  sanitize: {
    extra_fields: ["email", "phone", "date_of_birth", "national_id", "iban"],
  },
};

export const presets: Readonly<Record<PresetName, ConfigInput>> = Object.freeze({
  development,
  production,
  high_security: highSecurity,
  gdpr_focused: gdprFocused,
});

/** Presets under which no relaxation is accepted. */
export function isStrict(preset: PresetName | undefined): boolean {
  return preset !== undefined && preset !== "development";
}
