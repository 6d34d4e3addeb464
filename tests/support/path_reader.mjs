// Answers every request with the path that Node's ways of reading a URL give, as JSON.
import http from "node:http";
import url from "node:url";

const readings = (target) => ({
  "the URL class": decodeURIComponent(new URL(target, "http://localhost").pathname),
  "url.parse, as in Express": decodeURIComponent(url.parse(target).pathname),
  "up to the question mark": decodeURIComponent(target.split("?")[0]),
});

http
  .createServer((request, response) => response.end(JSON.stringify(readings(request.url))))
  .listen(Number(process.argv[2]), "127.0.0.1");
