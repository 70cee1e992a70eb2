/**
 * A network address as far as it identifies whoever pays for it: an IPv4 address, or an IPv6 /64, the least that one
 * customer holds. What is capped by source is capped by this.
 */
export function sourceOf(address: string): string {
  // Asked several times a call, and mostly of plain IPv4.
  if (address.length <= 15 && !address.includes(":")) return address;
  const bare = address.toLowerCase().split("%", 1)[0]?.slice(0, 64) ?? "";
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!bare.includes(":")) return bare;
  const [head = "", tail] = bare.split("::", 2);
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right];
  const network = groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ""));
  return `${network.join(":")}::/64`;
}
