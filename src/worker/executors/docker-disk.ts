// Whether an engine can limit the disk of a single container; that depends on where it keeps them.

export interface EngineStorage {
  readonly Driver?: string;
  readonly DriverStatus?: readonly (readonly string[])[] | null;
}

const withLimits = ["btrfs", "zfs", "devicemapper", "windowsfilter"];

/** Why it cannot, in words; null: it can. Of xfs it does not tell whether it is mounted with quotas. */
export function diskLimitProblem({ Driver, DriverStatus }: EngineStorage): string | null {
  if (Driver !== undefined && withLimits.includes(Driver)) return null;
  const below = DriverStatus?.find(([name]) => name === "Backing Filesystem")?.[1];
  if (Driver === "overlay2" && below === "xfs") return null;
  const where = below === undefined ? String(Driver) : `${Driver} on ${below}`;
  return `this engine cannot limit the disk of a container (its storage is ${where}; it takes overlay2 on xfs with pquota, btrfs or zfs)`;
}
