"use strict";

// Tokens live in this page's memory alone: leaving it signs out of the page, not of the session.
const state = { token: "", refreshToken: "", messageId: "" };
const $ = (id) => document.getElementById(id);
const value = (id) => $(id).value.trim();

async function call(method, path, body) {
  const headers = { "Accept-Language": navigator.language };
  if (body) headers["Content-Type"] = "application/json";
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  show(response, answer);
  return { ok: response.ok, answer };
}

function show(response, answer) {
  $("status").textContent = `${response.status} ${response.statusText}`;
  $("status").classList.toggle("bad", !response.ok);
  const hidden = (name, member) => (/token$/.test(name) && typeof member === "string" ? `${member.slice(0, 12)}…` : member);
  $("answer").textContent = answer ? JSON.stringify(answer, hidden, 2) : "(nothing)";
}

function signedIn({ ok, answer }) {
  if (!ok) return;
  state.token = answer.token;
  state.refreshToken = answer.refresh_token;
  present(answer.nick);
}

function present(nick) {
  $("who").textContent = nick ? `Signed in as ${nick}` : "Not signed in";
  for (const section of document.querySelectorAll("[data-signed-in]")) section.hidden = !nick;
}

function signedOut({ ok }) {
  if (!ok) return;
  Object.assign(state, { token: "", refreshToken: "" });
  $("sessions").replaceChildren();
  present("");
}

// A challenge of ALTCHA's protocol, version 2: which counter gives a key that begins as wanted?
async function solve(challenge) {
  const { nonce, salt, cost, keyLength, keyPrefix } = challenge.parameters;
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const started = performance.now();
  for (let counter = 0; ; counter++) {
    const password = new Uint8Array([...bytes(nonce), 0, 0, 0, 0]);
    new DataView(password.buffer).setUint32(password.length - 4, counter);
    const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    const kind = { name: "PBKDF2", hash: "SHA-256", salt: bytes(salt), iterations: cost };
    const derivedKey = hex(await crypto.subtle.deriveBits(kind, key, keyLength * 8));
    if (derivedKey.startsWith(keyPrefix)) {
      const solution = { counter, derivedKey, time: performance.now() - started };
      return btoa(JSON.stringify({ challenge, solution }));
    }
  }
}

async function askForCode() {
  const body = { mobile: value("mobile"), purpose: value("purpose"), channel: value("channel") };
  let asked = await call("POST", "/code/", body);
  if (asked.answer?.type === "/problems/challenge-required") {
    $("status").textContent += ", working on the challenge…";
    asked = await call("POST", "/code/", { ...body, challenge: await solve(asked.answer.challenge) });
  }
  state.messageId = asked.answer?.message_id ?? state.messageId;
}

async function listSessions() {
  const { ok, answer } = await call("GET", "/sessions/");
  if (!ok) return;
  $("sessions").replaceChildren(...answer.sessions.map((session) => {
    const item = document.createElement("li");
    item.append(`${session.last_used_at} from ${session.ip}${session.current ? " (this one)" : ""}`);
    const end = Object.assign(document.createElement("button"), { type: "button", textContent: "End", className: "plain" });
    end.addEventListener("click", async () => {
      const ended = await call("DELETE", `/sessions/${session.id}/`);
      if (ended.ok) item.remove();
    });
    item.append(end);
    return item;
  }));
}

const acts = {
  code: askForCode,
  status: () => call("GET", `/code/${state.messageId}/`),
  register: () => call("POST", "/register/", {
    mobile: value("mobile"), code: value("code"), password: $("password").value,
  }),
  login: async () => signedIn(await call("POST", "/login/", { mobile: value("mobile"), password: $("password").value })),
  loginCode: async () => signedIn(await call("POST", "/login/code/", { mobile: value("mobile"), code: value("code") })),
  reset: () => call("POST", "/password/reset/", {
    mobile: value("mobile"), code: value("code"), password: $("password").value,
  }),
  me: async () => {
    const { ok, answer } = await call("GET", "/me/");
    if (!ok) return;
    $("nickname").value = answer.nickname ?? "";
    $("avatar").value = answer.avatar ?? "";
    present(answer.nick);
  },
  profile: async () => {
    const changes = { nickname: value("nickname") || null, avatar: value("avatar") || null };
    const { ok, answer } = await call("PATCH", "/me/", changes);
    if (ok) present(answer.nick);
  },
  confirm: async () => signedIn(await call("POST", "/reauthenticate/", { code: value("code") })),
  mobile: () => call("POST", "/me/mobile/", { mobile: value("mobile"), code: value("code") }),
  erase: async () => signedOut(await call("DELETE", "/me/", { code: value("code") })),
  change: () => call("POST", "/password/change/", { old_password: $("old").value, password: $("new").value }),
  sessions: listSessions,
  others: () => call("DELETE", "/sessions/"),
  refresh: async () => signedIn(await call("POST", "/token/refresh/", { refresh_token: state.refreshToken })),
  logout: async () => signedOut(await call("POST", "/logout/", { refresh_token: state.refreshToken })),
};

// The browser itself sends nothing: each button says what it is for.
document.querySelector("main").addEventListener("submit", (event) => event.preventDefault());

document.querySelector("main").addEventListener("click", async (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  button.disabled = true;
  try {
    await acts[button.dataset.act]();
  } catch (error) {
    $("status").textContent = "no answer";
    $("answer").textContent = String(error);
  } finally {
    button.disabled = false;
  }
});
