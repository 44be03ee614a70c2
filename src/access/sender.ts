// Where a request comes from: the peer, or, where that is a proxy we were told to trust, what it says.

import { BlockList, isIP } from "node:net";
import type { Connection } from "../wire/listen.js";

export interface Sender {
  readonly address: string;
  /** "https" also where a trusted proxy took it so. */
  readonly scheme: "http" | "https";
  /** What the sender calls this server: name and port. */
  readonly host: string;
}

export type SenderOf = (request: Request, connection: Connection) => Sender;

/** `proxies`: addresses, or networks such as 10.0.0.0/8. Throws with a sentence at what is neither. */
export function createSenderOf(proxies: readonly string[]): SenderOf {
  const trusted = new BlockList();
  for (const proxy of proxies) {
    const [address = "", bits] = proxy.split("/");
    const all = isIP(address) === 6 ? 128 : 32;
    const isNetwork = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= all);
    if (isIP(address) === 0 || !isNetwork) {
      throw new Error(`${proxy} is no address of a proxy: they look like 127.0.0.1 or 10.0.0.0/8`);
    }
    trusted.addSubnet(address, Number(bits ?? all), familyOf(address));
  }

  return (request, { address, scheme }) => {
    const header = (name: string) => lastOf(request.headers.get(name));
    const host = request.headers.get("host") ?? "";
    if (isIP(address) === 0 || !trusted.check(address, familyOf(address)))
      return { address, scheme, host };
    const client = header("x-forwarded-for");
    const proto = header("x-forwarded-proto");
    return {
      address: client !== null && isIP(client) !== 0 ? client : address,
      scheme: proto === "https" || proto === "http" ? proto : scheme,
      host: header("x-forwarded-host") ?? host,
    };
  };
}

/** What stands before it came from the client, who may write what it likes. */
function lastOf(list: string | null): string | null {
  return list?.split(",").at(-1)?.trim() || null;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

export function isSameOrigin(origin: string, { scheme, host }: Sender): boolean {
  if (!URL.canParse(origin) || !URL.canParse(`${scheme}://${host}`)) return false;
  return new URL(origin).origin === new URL(`${scheme}://${host}`).origin;
}
