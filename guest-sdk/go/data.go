package krt

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// Prediction takes what a model predicted, for the version's metrics: ctx.Prediction. A message that is handled twice
// counts twice.
type Prediction struct{ host bridge.Host }

// SaveMetricErr is why there is no prediction to be compared with the truth.
type SaveMetricErr string

const (
	// ErrMissingValues: the input had values missing.
	ErrMissingValues SaveMetricErr = "missing_values"
	// ErrNewLabels: the truth is a label that the model does not know.
	ErrNewLabels SaveMetricErr = "new_labels"
)

// Save saves a prediction beside the truth. The zero time is now. extra, if given, is kept with it as JSON.
func (p Prediction) Save(date time.Time, predictedValue, trueValue string, extra ...any) error {
	kept, err := keep(extra)
	if err != nil {
		return err
	}
	at := firstTime([]time.Time{date})
	return refused(p.host.SavePrediction(predictedValue, trueValue, kept, at), "save prediction")
}

// SaveError saves that there was no prediction, and why. extra, if given, is kept with it as JSON.
func (p Prediction) SaveError(problem SaveMetricErr, extra ...any) error {
	numbers := map[SaveMetricErr]bridge.Problem{
		ErrMissingValues: bridge.MissingValues,
		ErrNewLabels:     bridge.NewLabels,
	}
	number, known := numbers[problem]
	if !known {
		text := fmt.Sprintf("%q is not a reason that the metrics know", string(problem))
		return &Error{Op: "save prediction", Kind: ErrInvalid, Text: text}
	}
	kept, err := keep(extra)
	if err != nil {
		return err
	}
	return refused(p.host.SaveNoPrediction(number, kept, nil), "save prediction")
}

func keep(extra []any) (*string, error) {
	if len(extra) == 0 || extra[0] == nil {
		return nil, nil
	}
	text, err := json.Marshal(extra[0])
	if err != nil {
		return nil, fmt.Errorf("save prediction: what is to be kept with it: %w", err)
	}
	kept := string(text)
	return &kept, nil
}

// Database is the runtime's database, which all its versions share: ctx.DB.
type Database struct{ host bridge.Host }

// QueryData is a query of MongoDB's language. Everywhere: equality, also of fields within ("a.b"), $eq $ne $gt $gte $lt
// $lte $in $exists $and $or. An empty one matches all.
type QueryData map[string]any

// Save saves a document: whatever [encoding/json] makes an object of. A message that is handled twice saves twice,
// unless the document has an "_id" of its own.
func (d Database) Save(collection string, document any) error {
	text, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("save document in %q: %w", collection, err)
	}
	return refused(d.host.SaveDocument(collection, string(text)), "save document in %q", collection)
}

// Find puts the documents of a collection that match a query into result, a pointer to a slice of what [encoding/json]
// makes of a document.
func (d Database) Find(collection string, query QueryData, result any) error {
	if query == nil {
		query = QueryData{}
	}
	text, err := json.Marshal(query)
	if err != nil {
		return fmt.Errorf("find documents in %q: %w", collection, err)
	}
	documents, refusal := d.host.FindDocuments(collection, string(text))
	if refusal != nil {
		return refused(refusal, "find documents in %q", collection)
	}
	if err := json.Unmarshal([]byte("["+strings.Join(documents, ",")+"]"), result); err != nil {
		return fmt.Errorf("find documents in %q: %w", collection, err)
	}
	return nil
}
