package krt

import (
	"fmt"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// Scope is who shares a setting.
type Scope string

const (
	// ScopeNode is this node, in all its replicas.
	ScopeNode Scope = "node"
	// ScopeWorkflow is the nodes of this workflow.
	ScopeWorkflow Scope = "workflow"
	// ScopeProject is all nodes of the version.
	ScopeProject Scope = "project"
)

// Configuration is settings that outlive a message: ctx.Configuration. Keys are letters, digits and "-/_=.", without a
// dot at either end. There are no transactions: the last Set wins.
type Configuration struct{ host bridge.Host }

// Get is the value of key in one scope; without a scope in the node's, else the workflow's, else the project's. It
// fails with [ErrNotFound] when there is none.
func (c Configuration) Get(key string, scope ...Scope) (string, error) {
	value, found, err := c.Lookup(key, scope...)
	if err == nil && !found {
		err = &Error{Op: fmt.Sprintf("get setting %q", key), Kind: ErrNotFound, Text: "there is no such setting"}
	}
	return value, err
}

// Lookup is [Configuration.Get] for settings that need not be there.
func (c Configuration) Lookup(key string, scope ...Scope) (value string, found bool, err error) {
	chosen, err := choose(scope)
	if err != nil {
		return "", false, err
	}
	value, found, refusal := c.host.Get(key, chosen)
	return value, found, refused(refusal, "get setting %q", key)
}

// Set stores a value in a scope, the node's if none is given.
func (c Configuration) Set(key, value string, scope ...Scope) error {
	chosen, err := choose(scope)
	if err != nil {
		return err
	}
	return refused(c.host.Set(key, value, chosen), "set setting %q", key)
}

// Delete deletes a value from a scope, the node's if none is given. It is no error if there is none.
func (c Configuration) Delete(key string, scope ...Scope) error {
	chosen, err := choose(scope)
	if err != nil {
		return err
	}
	return refused(c.host.Delete(key, chosen), "delete setting %q", key)
}

func choose(scope []Scope) (bridge.Scope, error) {
	if len(scope) == 0 {
		return bridge.NoScope, nil
	}
	switch scope[0] {
	case ScopeNode:
		return bridge.Node, nil
	case ScopeWorkflow:
		return bridge.Workflow, nil
	case ScopeProject:
		return bridge.Project, nil
	default:
		text := fmt.Sprintf("%q is not a scope: node, workflow or project", string(scope[0]))
		return 0, &Error{Op: "configuration", Kind: ErrInvalid, Text: text}
	}
}
