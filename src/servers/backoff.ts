/**
 * How long to wait before connecting again: nothing after the first loss, then doubling with full jitter up to a
 * bound. Pure but for the random number, which the caller hands in.
 */
export function reconnectDelayMs(
  losses: number,
  limits: { readonly firstMs: number; readonly maxMs: number },
  random: number,
): number {
  if (losses <= 1) return 0;
  const ceilingMs = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(losses - 2, 30));
  return Math.round(ceilingMs * (0.5 + random / 2));
}
