/**
 * Certificates made on the spot with openssl: one authority, a server's for 127.0.0.1, and clients' by common name.
 */
import { join } from "node:path";

export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface Authority {
  readonly caFile: string;
  /** For 127.0.0.1 and localhost unless told otherwise. */
  issue(commonName: string, subjectAltName?: string): Promise<Certificate>;
}

/** An authority of its own in `folder`; two of them do not believe each other. */
export async function createAuthority(folder: string, name = "ca"): Promise<Authority> {
  const caFile = join(folder, `${name}.pem`);
  const caKey = join(folder, `${name}.key`);
  await openssl([
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-days", "2", "-subj", `/CN=${name}`, "-keyout", caKey, "-out", caFile],
  ]);
  return {
    caFile,
    async issue(commonName, subjectAltName = "IP:127.0.0.1,DNS:localhost") {
      const file = (suffix: string) => join(folder, `${name}-${commonName}.${suffix}`);
      await openssl([
        ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        ...["-subj", `/CN=${commonName}`, "-keyout", file("key"), "-out", file("csr")],
      ]);
      await Bun.write(file("ext"), `subjectAltName=${subjectAltName}\n`);
      await openssl([
        ...["x509", "-req", "-in", file("csr"), "-CA", caFile, "-CAkey", caKey],
        ...["-CAcreateserial", "-days", "2", "-extfile", file("ext"), "-out", file("pem")],
      ]);
      return { certificateFile: file("pem"), keyFile: file("key") };
    },
  };
}

async function openssl(args: readonly string[]): Promise<void> {
  const child = Bun.spawn(["openssl", ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const [said, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${said}`);
}
