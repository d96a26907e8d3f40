// The tutorials and the error paths with amqplib. Argument: the port.
const amqp = require('amqplib');
const assert = require('assert');

const url = `amqp://guest:guest@127.0.0.1:${process.argv[2]}`;

function take(channel, queue, count) {
  return new Promise((resolve, reject) => {
    const bodies = [];
    channel.consume(queue, async (message) => {
      if (!message) return reject(new Error('cancelled'));
      channel.ack(message);
      bodies.push(message.content.toString());
      if (bodies.length === count) {
        await channel.cancel(message.fields.consumerTag);
        resolve(bodies);
      }
    }).catch(reject);
  });
}

async function main() {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();

  await channel.assertQueue('js_hello', { durable: false });
  channel.sendToQueue('js_hello', Buffer.from('Hello World!'));
  assert.deepStrictEqual(await take(channel, 'js_hello', 1), ['Hello World!']);

  await channel.assertQueue('js_tasks', { durable: true });
  await channel.prefetch(1);
  for (let n = 0; n < 5; n++) channel.sendToQueue('js_tasks', Buffer.from(`${n}`), { persistent: true });
  assert.deepStrictEqual(await take(channel, 'js_tasks', 5), ['0', '1', '2', '3', '4']);

  await channel.assertExchange('js_topics', 'topic', { durable: false });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'js_topics', 'kern.*');
  channel.publish('js_topics', 'cron.info', Buffer.from('no'));
  channel.publish('js_topics', 'kern.info', Buffer.from('yes'));
  assert.deepStrictEqual(await take(channel, queue, 1), ['yes']);

  await channel.assertQueue('js_rpc', { durable: false });
  channel.consume('js_rpc', (message) => {
    channel.sendToQueue(message.properties.replyTo, Buffer.from(`<${message.content}>`),
      { correlationId: message.properties.correlationId });
    channel.ack(message);
  });
  const client = await connection.createChannel();
  const answer = new Promise((resolve) => {
    client.consume('amq.rabbitmq.reply-to', (message) => resolve(message), { noAck: true })
      .then(() => client.sendToQueue('js_rpc', Buffer.from('q'),
        { correlationId: '7', replyTo: 'amq.rabbitmq.reply-to' }));
  });
  const message = await answer;
  assert.strictEqual(message.content.toString(), '<q>');
  assert.strictEqual(message.properties.correlationId, '7');

  const confirmed = await connection.createConfirmChannel();
  await confirmed.assertQueue('js_confirmed', { durable: true });
  for (let n = 0; n < 200; n++) confirmed.sendToQueue('js_confirmed', Buffer.from('x'), { persistent: true });
  await confirmed.waitForConfirms();
  assert.strictEqual((await confirmed.checkQueue('js_confirmed')).messageCount, 200);
  assert.strictEqual((await confirmed.deleteQueue('js_confirmed')).messageCount, 200);
  const returned = new Promise((resolve) => confirmed.once('return', resolve));
  confirmed.publish('', 'js_nowhere', Buffer.from('x'), { mandatory: true });
  assert.strictEqual((await returned).fields.replyText, 'NO_ROUTE');

  const refused = await connection.createChannel();
  const closed = new Promise((resolve) => refused.once('error', resolve));
  await assert.rejects(refused.checkQueue('js_missing'));
  assert.match((await closed).message, /404 \(NOT-FOUND\) with message "NOT_FOUND - no queue 'js_missing' in vhost '\/'"/);

  await assert.rejects(amqp.connect(url.replace('guest:guest', 'guest:wrong')),
    /ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN/);
  await connection.close();
  console.log('ok amqplib');
}

main().catch((error) => { console.error(error); process.exit(1); });
