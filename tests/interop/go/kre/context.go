package kre

import (
	"errors"
	"path/filepath"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"krt.test/interop/pb/envelope"
)

// Scope of a configuration value.
type Scope int

// In the order in which a value without a scope is looked for.
const (
	ScopeNode Scope = iota
	ScopeWorkflow
	ScopeProject
)

// ErrNoObjectStore is what a node gets that has declared none.
var ErrNoObjectStore = errors.New("the object store does not exist")

// Context is what a handler has.
type Context struct {
	Configuration Configuration
	ObjectStore   ObjectStore
	runner        *runner
	message       *envelope.KreNatsMessage
}

// Node is the name of this node.
func (c *Context) Node() string { return c.runner.env.node }

// Path of a file of the package.
func (c *Context) Path(relative string) string { return filepath.Join(c.runner.env.basePath, relative) }

// GetRequestID is the id that the entrypoint gave the request.
func (c *Context) GetRequestID() string { return c.message.RequestId }

// SendOutput sends a message to the node's subject, or to one channel of it.
func (c *Context) SendOutput(message proto.Message, channel ...string) error {
	return c.send(message, envelope.MessageType_OK, channel)
}

// SendAny passes a payload on unchanged.
func (c *Context) SendAny(payload *anypb.Any, channel ...string) {
	c.sendAny(payload, envelope.MessageType_OK, channel)
}

// SendEarlyReply answers the caller before the node is done.
func (c *Context) SendEarlyReply(message proto.Message, channel ...string) error {
	return c.send(message, envelope.MessageType_EARLY_REPLY, channel)
}

// SendEarlyExit answers the caller; the node stops after it.
func (c *Context) SendEarlyExit(message proto.Message, channel ...string) error {
	return c.send(message, envelope.MessageType_EARLY_EXIT, channel)
}

// IsMessageOK tells an ordinary output.
func (c *Context) IsMessageOK() bool { return c.is(envelope.MessageType_OK) }

// IsMessageError tells that the node before failed.
func (c *Context) IsMessageError() bool { return c.is(envelope.MessageType_ERROR) }

// IsMessageEarlyReply tells an answer before the origin is done.
func (c *Context) IsMessageEarlyReply() bool { return c.is(envelope.MessageType_EARLY_REPLY) }

// IsMessageEarlyExit tells an answer after which the origin stops.
func (c *Context) IsMessageEarlyExit() bool { return c.is(envelope.MessageType_EARLY_EXIT) }

func (c *Context) is(kind envelope.MessageType) bool { return c.message.MessageType == kind }

func (c *Context) send(message proto.Message, kind envelope.MessageType, channel []string) error {
	payload, err := anypb.New(message)
	if err != nil {
		return err
	}
	c.sendAny(payload, kind, channel)
	return nil
}

func (c *Context) sendAny(payload *anypb.Any, kind envelope.MessageType, channel []string) {
	out := &envelope.KreNatsMessage{
		RequestId:   c.message.RequestId,
		Payload:     payload,
		FromNode:    c.runner.env.node,
		MessageType: kind,
	}
	name := ""
	if len(channel) > 0 {
		name = channel[0]
	}
	c.runner.publish(out, name)
}

// Configuration is text values in the key-value buckets of the three scopes.
type Configuration struct {
	buckets [3]nats.KeyValue
}

// Set puts a value; in the node's scope if none is given.
func (c Configuration) Set(key, value string, scope ...Scope) error {
	_, err := c.buckets[first(scope)].PutString(key, value)
	return err
}

// Get looks in one scope, or in the node's, the workflow's, the project's. Empty when there is none.
func (c Configuration) Get(key string, scope ...Scope) (string, error) {
	buckets := c.buckets[:]
	if len(scope) > 0 {
		buckets = buckets[scope[0] : scope[0]+1]
	}
	for _, bucket := range buckets {
		entry, err := bucket.Get(key)
		if err == nil {
			return string(entry.Value()), nil
		}
		if !errors.Is(err, nats.ErrKeyNotFound) {
			return "", err
		}
	}
	return "", nats.ErrKeyNotFound
}

// Delete removes a value; in the node's scope if none is given.
func (c Configuration) Delete(key string, scope ...Scope) error {
	return c.buckets[first(scope)].Delete(key)
}

func first(scope []Scope) Scope {
	if len(scope) > 0 {
		return scope[0]
	}
	return ScopeNode
}

// ObjectStore is the one that the node has declared.
type ObjectStore struct {
	store nats.ObjectStore
}

// Save puts an object.
func (o ObjectStore) Save(key string, payload []byte) error {
	if o.store == nil {
		return ErrNoObjectStore
	}
	if payload == nil {
		return errors.New("the payload cannot be nil")
	}
	_, err := o.store.PutBytes(key, payload)
	return err
}

// Get is an object's content.
func (o ObjectStore) Get(key string) ([]byte, error) {
	if o.store == nil {
		return nil, ErrNoObjectStore
	}
	return o.store.GetBytes(key)
}

// Delete removes an object.
func (o ObjectStore) Delete(key string) error {
	if o.store == nil {
		return ErrNoObjectStore
	}
	return o.store.Delete(key)
}
