// Sends messages by Logto's connector for Yunpian, as Logto does.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { readOrder, redirect } from "./redirect.mjs";

const require = createRequire(`${process.env.VENDOR_PACKAGES}/index.js`);
const order = await readOrder();
redirect(order.url);
console.warn = () => {};
const { default: create } = await import(pathToFileURL(require.resolve("@logto/connector-yunpian-sms")));
const usages = ["Register", "SignIn", "ForgotPassword", "Generic"];
const answers = [];
for (const { to, content, code } of order.messages) {
  const config = {
    apikey: order.key,
    templates: usages.map((usageType) => ({ usageType, content })),
    enableInternational: true,
  };
  const { sendMessage } = await create({ getConfig: async () => config });
  try {
    const response = await sendMessage({ to, type: "SignIn", payload: { code } });
    answers.push({ status: response.statusCode, body: JSON.parse(response.body) });
  } catch (error) {
    answers.push({ error: error.constructor.name, message: error.message, data: error.data ?? null });
  }
}
process.stdout.write(JSON.stringify(answers));
