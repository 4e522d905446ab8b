package kre

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"krt.test/interop/pb/envelope"
)

// What the original gives a message before it would come again.
const ackWait = 22 * time.Hour

// Handler is what a node does with a message.
type Handler func(ctx *Context, data *anypb.Any) error

// Start runs a node until SIGINT or SIGTERM. `custom` goes by the node that a message is from, `fallback` takes the rest.
func Start(initialise func(ctx *Context) error, fallback Handler, custom map[string]Handler) {
	if err := run(initialise, fallback, custom); err != nil {
		log("ERROR", "%v", err)
		os.Exit(1)
	}
}

type runner struct {
	env      *environment
	conn     *nats.Conn
	js       nats.JetStreamContext
	fallback Handler
	custom   map[string]Handler
	base     Context
}

func run(initialise func(ctx *Context) error, fallback Handler, custom map[string]Handler) error {
	env, err := readEnvironment()
	if err != nil {
		return err
	}
	r := &runner{env: env, fallback: fallback, custom: custom}
	if r.conn, err = nats.Connect(env.server); err != nil {
		return fmt.Errorf("connecting to %s: %w", env.server, err)
	}
	defer r.conn.Close()
	if r.js, err = r.conn.JetStream(); err != nil {
		return err
	}
	r.base = Context{runner: r}
	if env.objectStore != "" {
		if r.base.ObjectStore.store, err = r.js.ObjectStore(env.objectStore); err != nil {
			return fmt.Errorf("object store %s: %w", env.objectStore, err)
		}
	}
	// In the order in which a value without a scope is looked for.
	for i, bucket := range []string{env.nodeStore, env.workflow, env.project} {
		if r.base.Configuration.buckets[i], err = r.js.KeyValue(bucket); err != nil {
			return fmt.Errorf("key-value store %s: %w", bucket, err)
		}
	}
	if initialise != nil {
		if err := initialise(&r.base); err != nil {
			return err
		}
	}
	maxPending := -1
	if text := os.Getenv("KRT_MAX_PENDING_ACK"); text != "" {
		if maxPending, err = strconv.Atoi(text); err != nil {
			return err
		}
	}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	for _, subject := range env.inputs {
		name := strings.ReplaceAll(subject, ".", "-") + "-" + env.node
		subscription, err := r.js.QueueSubscribe(subject, name, r.handle,
			nats.DeliverNew(), nats.Durable(name), nats.ManualAck(), nats.AckWait(ackWait), nats.MaxAckPending(maxPending))
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		// Deletes the durable if this very subscription has made it: the client's way, and the original's.
		defer func() { _ = subscription.Unsubscribe() }()
		log("INFO", "listening to %s", subject)
	}
	<-stopped
	return nil
}

// One message; the client calls it for one message of a subscription at a time.
func (r *runner) handle(msg *nats.Msg) {
	data, err := expanded(msg.Data)
	message := &envelope.KreNatsMessage{}
	if err == nil {
		err = proto.Unmarshal(data, message)
	}
	if err != nil {
		r.fail(msg, message, fmt.Errorf("the envelope cannot be read: %w", err))
		return
	}
	handler, there := r.custom[message.FromNode]
	if !there {
		handler = r.fallback
	}
	if handler == nil {
		r.fail(msg, message, fmt.Errorf("there is no handler for node '%s'", message.FromNode))
		return
	}
	ctx := r.base
	ctx.message = message
	if err := handler(&ctx, message.Payload); err != nil {
		r.fail(msg, message, err)
		return
	}
	if err := msg.Ack(); err != nil {
		log("ERROR", "acknowledging: %v", err)
	}
}

// Acknowledges first, then says ERROR.
func (r *runner) fail(msg *nats.Msg, message *envelope.KreNatsMessage, cause error) {
	text := fmt.Sprintf("error in node '%s' executing handler for node '%s': %v", r.env.node, message.FromNode, cause)
	log("ERROR", "%s", text)
	if err := msg.Ack(); err != nil {
		log("ERROR", "acknowledging: %v", err)
	}
	r.publish(&envelope.KreNatsMessage{
		RequestId:   message.RequestId,
		Error:       text,
		FromNode:    r.env.node,
		MessageType: envelope.MessageType_ERROR,
	}, "")
}

// Failures are said and no more, as in the original.
func (r *runner) publish(message *envelope.KreNatsMessage, channel string) {
	subject := r.env.output
	if channel != "" {
		subject += "." + channel
	}
	data, err := proto.Marshal(message)
	if err == nil {
		data, err = r.fitted(data)
	}
	if err == nil {
		_, err = r.js.Publish(subject, data)
	}
	if err != nil {
		log("ERROR", "publishing on %s: %v", subject, err)
	}
}

func (r *runner) fitted(data []byte) ([]byte, error) {
	limit := r.conn.MaxPayload()
	info, err := r.js.StreamInfo(r.env.stream)
	if err != nil {
		return nil, err
	}
	if ofStream := int64(info.Config.MaxMsgSize); ofStream > 0 && ofStream < limit {
		limit = ofStream
	}
	if int64(len(data)) <= limit {
		return data, nil
	}
	if data, err = compressed(data); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("the message has %d bytes compressed, the limit is %d", len(data), limit)
	}
	return data, nil
}

func log(level, format string, values ...any) {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	fmt.Printf("%s %s %s\n", now, level, fmt.Sprintf(format, values...))
}
