/** The same list in an order that a number decides, so that a run can be made again. */

/** Fisher–Yates with the multiplicative generator of Park and Miller. */
export function shuffled<T>(list: readonly T[], seed: number): readonly T[] {
  const result = [...list];
  let state = (Math.abs(Math.trunc(seed)) % 2_147_483_646) + 1;
  for (let i = result.length - 1; i > 0; i--) {
    state = Number((BigInt(state) * 48_271n) % 2_147_483_647n);
    const other = state % (i + 1);
    [result[i], result[other]] = [result[other]!, result[i]!];
  }
  return result;
}
