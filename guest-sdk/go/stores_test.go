package krt_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"github.com/konstellation-io/krt/guest-sdk/go/krttest"
)

// in runs f with the context of one message.
func in(host *krttest.Host, f func(ctx *krt.Context)) *krttest.Outcome {
	return host.Handler(raw(func(ctx *krt.Context, _ *anypb.Any) error {
		f(ctx)
		return nil
	})).Handle(wrapperspb.String(""))
}

func TestSettingsAreLookedForFromTheNodeOutwards(t *testing.T) {
	host := krttest.New(t).Config(krt.ScopeProject, "a", "project").Config(krt.ScopeWorkflow, "a", "workflow")
	in(host, func(ctx *krt.Context) {
		value, err := ctx.Configuration.Get("a")
		want(t, "get", []any{value, err}, []any{"workflow", nil})
		value, err = ctx.Configuration.Get("a", krt.ScopeProject)
		want(t, "of the project", []any{value, err}, []any{"project", nil})
		_, err = ctx.Configuration.Get("a", krt.ScopeNode)
		want(t, "of the node", []any{errors.Is(err, krt.ErrNotFound), err}, []any{true, `get setting "a": there is no such setting`})
		want(t, "set", ctx.Configuration.Set("a", ""), nil)
		value, found, err := ctx.Configuration.Lookup("a")
		want(t, "empty", []any{value, found, err}, []any{"", true, nil})
		want(t, "delete", errors.Join(ctx.Configuration.Delete("a"), ctx.Configuration.Delete("a")), nil)
		want(t, "key", errors.Is(ctx.Configuration.Set(".a", ""), krt.ErrInvalid), true)
		want(t, "scope", errors.Is(ctx.Configuration.Set("a", "", "planet"), krt.ErrInvalid), true)
		want(t, "set", ctx.Configuration.Set("b", "1", krt.ScopeWorkflow), nil)
	})
	value, found := host.Setting(krt.ScopeWorkflow, "b")
	want(t, "afterwards", []any{value, found}, []any{"1", true})
}

func TestObjectsAreKeptListedAndPurged(t *testing.T) {
	host := krttest.New(t).Object("a/1", []byte("x"))
	in(host, func(ctx *krt.Context) {
		want(t, "save", errors.Join(ctx.ObjectStore.Save("b/1", nil), ctx.ObjectStore.Save("a/2", []byte("y"))), nil)
		data, err := ctx.ObjectStore.Get("a/1")
		want(t, "get", []any{string(data), err}, []any{"x", nil})
		names, err := ctx.ObjectStore.List()
		want(t, "list", []any{names, err}, []any{[]string{"a/1", "a/2", "b/1"}, nil})
		count, err := ctx.ObjectStore.Purge("^a/")
		want(t, "purge", []any{count, err}, []any{2, nil})
		_, err = ctx.ObjectStore.List("(")
		want(t, "pattern", errors.Is(err, krt.ErrInvalid), true)
		want(t, "delete", errors.Is(ctx.ObjectStore.Delete("a/1"), krt.ErrNotFound), true)
	})
	want(t, "afterwards", []any{host.StoredObject("a/1") == nil, host.StoredObject("b/1") != nil}, []any{true, true})
	in(krttest.New(t), func(ctx *krt.Context) {
		want(t, "none", errors.Is(ctx.ObjectStore.Save("a", nil), krt.ErrNotDeclared), true)
	})
}

func TestMeasurementsHaveFieldsOfEveryKind(t *testing.T) {
	type share float32
	at := time.Unix(1, 2)
	outcome := in(krttest.New(t), func(ctx *krt.Context) {
		fields := map[string]any{"n": 7, "u": uint8(3), "f": share(0.5), "b": true, "t": "x"}
		want(t, "save", ctx.Measurement.Save("batch", fields, map[string]string{"kind": "nightly"}, at), nil)
		want(t, "no field", errors.Is(ctx.Measurement.Save("batch", nil, nil), krt.ErrInvalid), true)
		want(t, "not finite", errors.Is(ctx.Measurement.Save("x", map[string]any{"a": math.NaN()}, nil), krt.ErrInvalid), true)
		want(t, "a list", ctx.Measurement.Save("x", map[string]any{"a": []int{1}}, nil),
			`measure "x": the field "a" is a []int, and not a number, a bool or a text`)
	})
	want(t, "points", outcome.Measurements(), []krttest.Point{{
		Name:   "batch",
		Fields: map[string]any{"b": true, "f": 0.5, "n": int64(7), "t": "x", "u": uint64(3)},
		Tags:   map[string]string{"kind": "nightly"},
		Time:   at,
	}})
}

func TestPredictionsAreKeptBesideTheTruth(t *testing.T) {
	outcome := in(krttest.New(t), func(ctx *krt.Context) {
		want(t, "save", ctx.Prediction.Save(time.Time{}, "spam", "ham", map[string]string{"model": "v3"}), nil)
		want(t, "error", ctx.Prediction.SaveError(krt.ErrNewLabels), nil)
		want(t, "unknown", errors.Is(ctx.Prediction.SaveError("tired"), krt.ErrInvalid), true)
		want(t, "not JSON", ctx.Prediction.Save(time.Time{}, "a", "b", make(chan int)) != nil, true)
	})
	want(t, "saved", outcome.Predictions(), []krttest.Predicted{
		{Predicted: "spam", True: "ham", Extra: `{"model":"v3"}`}, {Error: krt.ErrNewLabels},
	})
}

func TestDocumentsAreSavedAndFound(t *testing.T) {
	type sender struct {
		Name  string   `json:"name"`
		Score float64  `json:"score"`
		Tags  []string `json:"tags,omitempty"`
	}
	host := krttest.New(t).Document("senders", sender{"ada", 0.25, []string{"a", "b"}})
	in(host, func(ctx *krt.Context) {
		want(t, "save", ctx.DB.Save("senders", sender{Name: "bob", Score: 0.75}), nil)
		find := func(query krt.QueryData) (names string) {
			var found []sender
			if err := ctx.DB.Find("senders", query, &found); err != nil {
				return err.Error()
			}
			for _, one := range found {
				names += one.Name + " "
			}
			return names
		}
		for wanted, queries := range map[string][]krt.QueryData{
			"ada bob ": {nil, {"score": krt.QueryData{"$gt": 0}}, {"name": krt.QueryData{"$in": []string{"ada", "bob"}}}},
			"ada ": {{"name": "ada"}, {"score": krt.QueryData{"$lt": 0.5}}, {"tags": "b"}, {"name": krt.QueryData{"$ne": "bob"}},
				{"$or": []krt.QueryData{{"name": "ada"}, {"name": "eve"}}}},
			"bob ": {{"tags": krt.QueryData{"$exists": false}}, {"tags": nil}, {"score": krt.QueryData{"$gte": 0.75, "$lte": 1}}},
			"":     {{"a.b": 1}, {"$and": []krt.QueryData{{"name": "ada"}, {"name": "bob"}}}},
			`find documents in "senders": invalid: the test host does not know $where`: {{"$where": "true"}},
		} {
			for _, query := range queries {
				want(t, "found", find(query), wanted)
			}
		}
		want(t, "collection", errors.Is(ctx.DB.Save("system.x", sender{}), krt.ErrInvalid), true)
		want(t, "not an object", errors.Is(ctx.DB.Save("x", 7), krt.ErrInvalid), true)
	})
	want(t, "afterwards", host.Documents("senders")[1], `{"name":"bob","score":0.75}`)
}
