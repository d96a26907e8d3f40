// The tutorials' patterns and the error paths with amqp091-go. Argument: the port.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func check(good bool, what string, more ...interface{}) {
	if !good {
		panic(fmt.Sprint("failed: ", what, " ", more))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func fine(err error) {
	if err != nil {
		panic(err)
	}
}

func soon(deliveries <-chan amqp.Delivery) amqp.Delivery {
	select {
	case d := <-deliveries:
		return d
	case <-time.After(10 * time.Second):
		panic("no delivery")
	}
}

func refused(c *amqp.Connection, wanted string, run func(*amqp.Channel) error) {
	channel := must(c.Channel())
	err := run(channel)
	check(err != nil && strings.Contains(err.Error(), wanted), wanted, err)
}

func main() {
	url := "amqp://guest:guest@127.0.0.1:" + os.Args[1]
	connection := must(amqp.DialConfig(url+"/", amqp.Config{Properties: amqp.Table{"connection_name": "go's"}, Heartbeat: time.Second, Locale: "en_US"}))
	channel := must(connection.Channel())
	ctx := context.Background()
	publish := func(c *amqp.Channel, exchange, key string, message amqp.Publishing) {
		fine(c.PublishWithContext(ctx, exchange, key, false, false, message))
	}

	// work queues with acknowledgements
	must(channel.QueueDeclare("go_work", true, false, false, false, nil))
	fine(channel.Qos(1, 0, false))
	work := must(channel.Consume("go_work", "", false, false, false, false, nil))
	for n := 0; n < 5; n++ {
		publish(channel, "", "go_work", amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte{byte(n)}})
	}
	for n := 0; n < 5; n++ {
		d := soon(work)
		check(d.Body[0] == byte(n), "work queues")
		fine(d.Ack(false))
	}

	// every kind of field there and back
	table := amqp.Table{"bool": true, "byte": int8(-5), "octet": byte(200), "short": int16(-300), "int": int32(-70000), "long": int64(1 << 40), "float": float32(1.5), "double": 2.5,
		"decimal": amqp.Decimal{Scale: 2, Value: 12345}, "text": "text", "bytes": []byte{0, 255}, "list": []interface{}{int32(1), "x", nil}, "time": time.Unix(1234, 0), "table": amqp.Table{"deep": int16(7)}, "none": nil}
	own := must(channel.QueueDeclare("", false, false, true, false, nil))
	fine(channel.QueueBind(own.Name, "", "amq.headers", false, amqp.Table{"x-match": "all", "octet": byte(200), "text": "text"}))
	publish(channel, "amq.headers", "", amqp.Publishing{Headers: table, Timestamp: time.Unix(1234, 0), Expiration: "60000", Body: []byte("h")})
	got, ok, err := channel.Get(own.Name, true)
	check(err == nil && ok && reflect.DeepEqual(got.Headers, table), "headers", got.Headers)

	// confirms, returns, nacks
	confirming := must(connection.Channel())
	fine(confirming.Confirm(false))
	confirms := confirming.NotifyPublish(make(chan amqp.Confirmation, 10))
	returns := confirming.NotifyReturn(make(chan amqp.Return, 1))
	limited := must(confirming.QueueDeclare("go_limited", false, false, true, false, amqp.Table{"x-max-length": int32(1), "x-overflow": "reject-publish"}))
	for n := 0; n < 3; n++ {
		publish(confirming, "", limited.Name, amqp.Publishing{Body: []byte("x")})
	}
	fine(confirming.PublishWithContext(ctx, "", "go_none", true, false, amqp.Publishing{}))
	for n, wanted := range []bool{true, false, false, true} {
		c := <-confirms
		check(c.Ack == wanted && c.DeliveryTag == uint64(n+1), "confirms", c)
	}
	check((<-returns).ReplyText == "NO_ROUTE", "a return")

	// transactions, topics, dead letters
	tx := must(connection.Channel())
	fine(tx.Tx())
	publish(tx, "", own.Name, amqp.Publishing{Body: []byte("a")})
	fine(tx.TxRollback())
	publish(tx, "", own.Name, amqp.Publishing{Body: []byte("b")})
	fine(tx.TxCommit())
	got, ok, err = tx.Get(own.Name, true)
	check(err == nil && ok && string(got.Body) == "b", "transactions")
	dead := must(channel.QueueDeclare("", false, false, true, false, nil))
	letters := must(channel.Consume(dead.Name, "", true, false, false, false, nil))
	short := must(channel.QueueDeclare("", false, false, true, false, amqp.Table{"x-message-ttl": int64(10), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead.Name}))
	fine(channel.QueueBind(short.Name, "go.*.key", "amq.topic", false, nil))
	publish(channel, "amq.topic", "go.any.key", amqp.Publishing{Body: []byte("late")})
	death := soon(letters).Headers["x-death"].([]interface{})[0].(amqp.Table)
	check(death["reason"] == "expired" && death["count"] == int64(1), "x-death", death)

	// a queue deleted under its consumer, and heartbeats of a second
	cancels := channel.NotifyCancel(make(chan string, 1))
	must(channel.QueueDeclare("go_watched", false, false, false, false, nil))
	must(channel.Consume("go_watched", "gone", false, false, false, false, nil))
	must(must(connection.Channel()).QueueDelete("go_watched", false, false, false))
	check(<-cancels == "gone", "a cancel from the server")
	time.Sleep(4 * time.Second)
	check(!connection.IsClosed(), "heartbeats")

	// what is refused
	refused(connection, "Exception (404) Reason: \"NOT_FOUND - no queue 'go_none' in vhost '/'\"", func(c *amqp.Channel) error {
		_, err := c.QueueDeclarePassive("go_none", false, false, false, false, nil)
		return err
	})
	refused(connection, "inequivalent arg 'durable' for queue 'go_work' in vhost '/': received 'false' but current is 'true'", func(c *amqp.Channel) error {
		_, err := c.QueueDeclare("go_work", false, false, false, false, nil)
		return err
	})
	refused(connection, "inequivalent arg 'x-max-length' for queue 'go_limited' in vhost '/'", func(c *amqp.Channel) error {
		_, err := c.QueueDeclare("go_limited", false, false, true, false, amqp.Table{"x-max-length": int32(2), "x-overflow": "reject-publish"})
		return err
	})
	_, err = amqp.Dial(strings.Replace(url, "guest@", "wrong@", 1))
	check(err != nil && strings.Contains(err.Error(), "username or password not allowed"), "a wrong password", err)
	_, err = amqp.Dial(url + "/none")
	check(err != nil && strings.Contains(err.Error(), "no access to this vhost"), "a missing vhost", err)
	fine(connection.Close())
	fmt.Println("ok go")
}
