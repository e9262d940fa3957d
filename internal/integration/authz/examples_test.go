package authz_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/util"

	"github.com/surety-go/surety/authz"
)

// policies of examples that go by another name than their model.
var policies = map[string][]string{
	"basic_model.conf":                            {"basic_policy.csv", "basic_inverse_policy.csv"},
	"basic_model_without_spaces.conf":             {"basic_policy.csv"},
	"basic_with_root_model.conf":                  {"basic_policy.csv"},
	"comment_model.conf":                          {"basic_policy.csv"},
	"rbac_model.conf":                             {"rbac_policy.csv", "rbac_with_hierarchy_policy.csv"},
	"rbac_model_in_multi_line.conf":               {"rbac_policy.csv"},
	"rbac_model_matcher_using_in_op.conf":         {"rbac_policy.csv"},
	"rbac_with_domains_model.conf":                {"rbac_with_domains_policy.csv", "rbac_with_domains_policy2.csv", "rbac_with_hierarchy_with_domains_policy.csv"},
	"abac_not_using_policy_model.conf":            {"abac_rule_effect_policy.csv"},
	"abac_model.conf":                             {""},
	"syntax_matcher_model.conf":                   {""},
	"biba_model.conf":                             {""},
	"blp_model.conf":                              {""},
	"lbac_model.conf":                             {""},
	"priority_model.conf":                         {"priority_policy.csv", "priority_indeterminate_policy.csv"},
	"rbac_with_not_deny_model.conf":               {"rbac_with_deny_policy.csv"},
	"subject_priority_model_with_domain.conf":     {"subject_priority_policy_with_domain.csv"},
	"keyget_model.conf":                           {"keymatch_policy.csv"},
	"keyget2_model.conf":                          {"keymatch2_policy.csv"},
	"keymatch_custom_model.conf":                  {"keymatch2_policy.csv"},
	"rbac_model_matcher_using_in_op_bracket.conf": {"rbac_policy.csv"},
}

// options are what some models need of the application, in casbin as well.
var options = map[string]authz.Options{
	"rbac_with_not_deny_model.conf":           {DefaultAllow: true},
	"priority_model_explicit_customized.conf": {PriorityField: "customized_priority"},
	"keymatch_custom_model.conf":              {Functions: map[string]authz.Function{"keyMatchCustom": custom}},
}

func custom(args ...any) (any, error) { return args[0] == args[1], nil }

// rejected are examples that don't load, and why.
var rejected = map[string]string{
	"error/error_model.conf":               "section",
	"rbac_with_multiple_policy_model.conf": "mixed",
	"object_conditions_model.conf":         "not understood", // "=" in a rule, which casbin fails on at every request
}

func TestExamplesOfCasbin(t *testing.T) {
	dir := examples(t)
	models, err := filepath.Glob(filepath.Join(dir, "*_model*.conf"))
	if err != nil || len(models) < 45 {
		t.Fatalf("%d models: %v", len(models), err)
	}
	more, _ := filepath.Glob(filepath.Join(dir, "*", "*_model.conf"))
	for _, file := range append(models, more...) {
		name, _ := filepath.Rel(dir, file)
		list := policies[name]
		if list == nil {
			list = []string{strings.Replace(strings.TrimSuffix(name, ".conf")+".csv", "_model", "_policy", 1)}
		}
		for _, policy := range list {
			t.Run(name+" "+policy, func(t *testing.T) { compareExample(t, dir, name, policy) })
		}
	}
}

func compareExample(t *testing.T, dir, name, policy string) {
	modelText, rules := read(t, filepath.Join(dir, name)), ""
	if policy != "" {
		b, err := os.ReadFile(filepath.Join(dir, policy))
		if err != nil {
			b, err = os.ReadFile(filepath.Join(dir, strings.Replace(policy, "_policy.csv", ".csv", 1)))
		}
		if err != nil {
			t.Fatal(err)
		}
		rules = string(b)
	}
	ours, err := newEngine(modelText, rules, options[name])
	if reason, ok := rejected[name]; ok {
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Fatalf("loaded, or failed for another reason than %q: %v", reason, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := enforcer(strings.ReplaceAll(modelText, "regexMatch", "regexAnchored"), rules)
	if err != nil {
		t.Fatal(err)
	}
	if p := options[name].PriorityField; p != "" {
		if theirs, err = enforcer(strings.ReplaceAll(modelText, p, "priority"), rules); err != nil {
			t.Fatal(err)
		}
	}
	likeOurs(theirs)
	fields := len(strings.Split(strings.Split(strings.Split(modelText, "r =")[1], "\n")[0], ","))
	asked, allowed := 0, 0
	every(vocabulary(fields, rules), 20_000, func(request []any) {
		want, failure := enforce(theirs, request)
		d := ours.Raw(request...)
		asked++
		if d.Allowed {
			allowed++
		}
		if failure != nil && !d.Allowed {
			return
		}
		if d.Allowed != want && asked < 1_000_000 {
			t.Errorf("%v: %v by %q (%s), casbin %v %v", request, d.Allowed, d.Rule(), d.Reason, want, failure)
			asked += 100_000
		}
	})
	t.Logf("%d asked, %d allowed", asked, allowed)
}

// likeOurs gives casbin what is missing in a freshly built enforcer: the
// application's function, the conditions of links, which the file names and
// nothing evaluates, and a regexMatch that is anchored.
func likeOurs(e *casbin.Enforcer) {
	e.AddFunction("keyMatchCustom", custom)
	e.AddFunction("regexAnchored", func(args ...any) (any, error) {
		return regexp.MatchString("^(?:"+args[1].(string)+")$", args[0].(string))
	})
	for kind, g := range e.GetModel()["g"] {
		for _, line := range g.Policy {
			head, _, conditional := strings.Cut(g.Value, "(")
			if !conditional {
				break
			}
			switch strings.Count(head, "_") {
			case 2:
				e.AddNamedLinkConditionFunc(kind, line[0], line[1], util.TimeMatchFunc)
			case 3:
				e.AddNamedDomainLinkConditionFunc(kind, line[0], line[1], line[2], util.TimeMatchFunc)
			}
		}
	}
}
