/**
 * What the metrics say, for stories that count hits, misses and refusals.
 */
/** The sum of a metric's samples whose labels contain `labels`, such as `server="tiny"`. */
export async function readMetric(ops: string, name: string, labels = ""): Promise<number> {
  const text = await (await fetch(`${ops}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}
