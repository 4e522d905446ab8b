// The probe node in Go: passes a job on and does what its orders say. Its twins are in Python and in Rust.
package main

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/anypb"

	"krt.test/interop/kre"
	"krt.test/interop/pb/probe"
)

var errBefore = errors.New("the node before failed")

// From a node whose early answers concern the caller: those are passed on, the rest is not for this node.
func relay(ctx *kre.Context, data *anypb.Any) error {
	if ctx.IsMessageError() {
		return errBefore
	}
	if ctx.IsMessageEarlyReply() || ctx.IsMessageEarlyExit() {
		ctx.SendAny(data)
	}
	return nil
}

func work(ctx *kre.Context, data *anypb.Any) error {
	if ctx.IsMessageError() {
		return errBefore
	}
	if !ctx.IsMessageOK() {
		return nil
	}
	job := &probe.Job{}
	if err := data.UnmarshalTo(job); err != nil {
		return err
	}
	job.Path = append(job.Path, ctx.Node())
	for _, order := range job.Orders {
		if order.Node != ctx.Node() {
			continue
		}
		done, err := obey(ctx, job, order)
		if err != nil || done {
			return err
		}
	}
	return ctx.SendOutput(job)
}

// Whether nothing more is to be sent.
func obey(ctx *kre.Context, job *probe.Job, order *probe.Order) (bool, error) {
	number, _ := strconv.Atoi(order.Value)
	switch order.Verb {
	case "fail":
		return true, errors.New(order.Value)
	case "reply":
		return false, ctx.SendEarlyReply(job)
	case "exit":
		return true, ctx.SendEarlyExit(job)
	case "channel":
		return false, ctx.SendOutput(job, order.Name)
	case "quiet":
		return true, nil
	case "set":
		return false, ctx.Configuration.Set(order.Name, order.Value, scope(order.Scope)...)
	case "get":
		found, err := ctx.Configuration.Get(order.Name, scope(order.Scope)...)
		if errors.Is(err, nats.ErrKeyNotFound) {
			found, err = "nothing", nil
		}
		job.Found = append(job.Found, order.Name+"="+found)
		return false, err
	case "delete":
		return false, ctx.Configuration.Delete(order.Name, scope(order.Scope)...)
	case "save":
		return false, ctx.ObjectStore.Save(order.Name, []byte(order.Value))
	case "load":
		content, err := ctx.ObjectStore.Get(order.Name)
		job.Found = append(job.Found, order.Name+"="+string(content))
		return false, err
	case "fill":
		job.Data = make([]byte, number)
		if order.Name != "zeros" {
			rand.New(rand.NewSource(int64(number))).Read(job.Data)
		}
		return false, nil
	case "sleep":
		time.Sleep(time.Duration(number) * time.Millisecond)
		return false, nil
	case "die":
		// Once: whoever comes after finds the file.
		if _, err := os.Stat(order.Name); err == nil {
			return false, nil
		}
		if err := os.WriteFile(order.Name, nil, 0o600); err != nil {
			return true, err
		}
		return true, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return true, fmt.Errorf("no such order: %s", order.Verb)
}

func scope(name string) []kre.Scope {
	switch name {
	case "node":
		return []kre.Scope{kre.ScopeNode}
	case "workflow":
		return []kre.Scope{kre.ScopeWorkflow}
	case "project":
		return []kre.Scope{kre.ScopeProject}
	}
	return nil
}

func main() {
	custom := map[string]kre.Handler{}
	if os.Getenv("KRT_NODE_NAME") == "last" {
		custom["early"] = relay
	}
	kre.Start(nil, work, custom)
}
