// Calls the npm package yunpian-sdk as its users do. It resolves with the body, whatever the status.
import { createRequire } from "node:module";
import { readOrder, redirect } from "./redirect.mjs";

const require = createRequire(`${process.env.VENDOR_PACKAGES}/index.js`);
const order = await readOrder();
redirect(order.url);
const sdk = require("yunpian-sdk");
const answers = [];
for (const [api, method, parameters] of order.calls) {
  // A client for each call: one client keeps the parameters of the calls before.
  const client = new sdk[api.toUpperCase()]({ apikey: order.key });
  const body = await client[method](parameters);
  const { code = 0, msg = null, detail = null } = Array.isArray(body) ? {} : body;
  answers.push({ code, msg, detail, data: code === 0 ? body : null, exception: null });
}
process.stdout.write(JSON.stringify(answers));
