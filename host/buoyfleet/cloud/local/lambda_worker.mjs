// The process in which a JavaScript Lambda handler runs: `node lambda_worker.mjs HANDLER.js FUNCTION`.
//
// It speaks the frames of lambda_worker.py: 4 bytes length (big endian), then JSON. A handler
// returns a promise of its result, calls back, or calls context.succeed, fail or done; the value that a function
// returns which is not async counts for nothing, as in Lambda. What it prints goes to standard error, the
// stand-in for its CloudWatch log.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const PARENT_LOOK_MS = 1000;
const LOOP_LOOK_MS = 5;
const parent = process.ppid;
// A handler that hangs in a promise does not see the end of its input: when the twin is gone, end anyway.
setInterval(() => process.ppid === parent || process.exit(1), PARENT_LOOK_MS).unref();

// The protocol keeps standard output to itself.
process.stdout.write = process.stderr.write.bind(process.stderr);

function send(message) {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  let rest = Buffer.concat([head, body]);
  while (rest.length) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

function failure(error) {
  const known = error instanceof Error;
  return {
    error: {
      errorType: known ? error.name : typeof error,
      errorMessage: known ? error.message : String(error),
      stackTrace: known && error.stack ? error.stack.split("\n") : [],
    },
  };
}

function invoke(handler, { event, context }) {
  const end = performance.now() + context.timeout_ms;
  const given = {
    awsRequestId: context.aws_request_id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    invokedFunctionArn: context.invoked_function_arn,
    clientContext: undefined,
    identity: undefined,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(end - performance.now())),
  };
  const before = process.getActiveResourcesInfo().length;
  return new Promise((resolve, reject) => {
    const back = (error, result) => (error ? reject(error) : resolve(result));
    Object.assign(given, { succeed: resolve, fail: reject, done: back });
    const answer = handler(event, given, back);
    if (answer && typeof answer.then === "function") {
      answer.then(resolve, reject);
      return;
    }
    // Lambda waits for the callback until the event loop is empty; then the answer is null.
    const look = setInterval(() => {
      if (process.getActiveResourcesInfo().length > before + 1) return;
      clearInterval(look);
      resolve(null);
    }, LOOP_LOOK_MS);
  });
}

let handler;
try {
  const module = await import(pathToFileURL(path.resolve(process.argv[2])).href);
  const name = process.argv[3];
  handler = module[name] ?? module.default?.[name];
  if (typeof handler !== "function") throw new TypeError(`the file exports no function \`${name}\``);
} catch (error) {
  send(failure(error));
  process.exit(1);
}
send({ ready: true });

let waiting = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  waiting = waiting.length ? Buffer.concat([waiting, chunk]) : chunk;
  while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE(0)) {
    const size = waiting.readUInt32BE(0);
    const request = JSON.parse(waiting.subarray(4, 4 + size).toString());
    waiting = waiting.subarray(4 + size);
    let answer;
    try {
      const result = await invoke(handler, request);
      answer = { result: result === undefined ? null : result };
      JSON.stringify(answer);
    } catch (error) {
      answer = failure(error);
    }
    send(answer);
  }
}
process.exit(0);
