/**
 * A gateway inside this process on loopback, with an operator's connection to it. `demo` and `dev` start it and then
 * do everything through the gRPC plane and the agents' endpoints, like anybody else.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FlagValues, loadLocalConfig } from "../config/load.ts";
import { type AdminClient, createAdminClient } from "./admin-client.ts";
import { adminPackage } from "./descriptor.ts";
import { drainAndClose } from "./serve.ts";

export interface LocalGatewayOptions {
  /** Undefined = a temporary folder, removed at the end. */
  readonly dataDir: string | undefined;
  /** Ports of the listeners; 0 asks for free ones. */
  readonly port: number;
  readonly adminPort: number;
  readonly opsPort: number;
}

export interface LocalGateway {
  /** `http://host:port` of the agents' listener. */
  readonly agentsUrl: string;
  /** `host:port` of the admin plane. */
  readonly adminAddress: string;
  readonly opsUrl: string;
  readonly adminTokenFile: string;
  readonly dataDir: string;
  readonly stdioEnvironment: Readonly<Record<string, string>>;
  /** Calls one RPC: `ClientService`, `RegisterClient`. */
  admin(service: string, method: string, request: object): ReturnType<AdminClient["call"]>;
  /** Keeps a secret in the data folder, readable by this user alone; returns the path. */
  keepSecret(name: string, text: string): string;
  close(): Promise<void>;
}

export async function startLocalGateway(options: LocalGatewayOptions): Promise<LocalGateway> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "mcp-gateway-"));
  const config = loadLocalConfig({
    preset: "development",
    flags: placeFlags({
      data_dir: dataDir,
      "agents.port": options.port,
      "admin.port": options.adminPort,
      "ops.port": options.opsPort,
      "log.level": "error",
    }),
  });
  const { startGateway } = await import("../compose/start-gateway.ts");
  const gateway = await startGateway(config);
  const address = toHostPort(gateway.addresses.admin);
  const token = readFileSync(gateway.adminTokenFile, "utf8").trim();
  const client = createAdminClient({ address, token, tls: undefined });
  return {
    agentsUrl: toUrl(gateway.addresses.agents),
    adminAddress: address,
    opsUrl: toUrl(gateway.addresses.ops),
    adminTokenFile: gateway.adminTokenFile,
    dataDir,
    stdioEnvironment: config.stdioEnvironment,
    admin: (service, method, request) => client.call(`${adminPackage}.${service}`, method, request),
    keepSecret: (name, text) => {
      const path = join(dataDir, name);
      writeFileSync(path, `${text}\n`, { mode: 0o600 });
      chmodSync(path, 0o600);
      return path;
    },
    close: async () => {
      client.close();
      await drainAndClose(gateway, config.drain.timeoutSeconds * 1000);
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function placeFlags(values: Readonly<Record<string, string | number>>): FlagValues {
  const entries = Object.entries(values).map(([path, value]) => [path, { flag: path, value }]);
  return Object.fromEntries(entries);
}

/** Listeners may tell their address with or without a scheme. */
function toUrl(address: string): string {
  return address.includes("://") ? address.replace(/\/+$/, "") : `http://${address}`;
}

function toHostPort(address: string): string {
  return address.replace(/^[a-z]+:\/\//, "").replace(/\/+$/, "");
}
