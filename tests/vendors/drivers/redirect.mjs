// Sends what goes to Yunpian's hosts, which the packages have built in, to the simulator.
import http from "node:http";
import https from "node:https";

export function redirect(base) {
  const target = new URL(base);
  https.request = (first, second, third) => {
    const byUrl = typeof first === "string" || first instanceof URL;
    const url = byUrl ? new URL(first) : null;
    const given = (byUrl ? second : first) ?? {};
    const callback = byUrl ? third : second;
    const host = url ? url.hostname : given.hostname ?? given.host;
    if (!/(^|\.)yunpian\.com$/.test(host)) throw new Error(`an unexpected host: ${host}`);
    const headers = Object.fromEntries(
      Object.entries(given.headers ?? {}).filter(([name]) => name.toLowerCase() !== "host"),
    );
    const { method, timeout, signal } = given;
    return http.request({
      method,
      timeout,
      signal,
      headers,
      host: target.hostname,
      port: target.port,
      path: url ? url.pathname + url.search : given.path,
    }, callback);
  };
}

export async function readOrder() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}
