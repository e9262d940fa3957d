package policy

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const advice = "move the code, don't widen the list"

// Every package of the root module reaches only the modules that its rule
// lists, as a user sees it: without the workspace, on every system.
func TestModulesReached(t *testing.T) {
	for _, system := range []string{"linux", "darwin", "windows"} {
		passed := t.Run(system, func(t *testing.T) {
			all := goList(t, []string{"GOWORK=off", "GOOS=" + system, "GOARCH=amd64"}, "-deps", "-test", "./...")
			report(t, loadErrors(all))
			report(t, reachViolations(all))
			report(t, testViolations(all))
			if system == "linux" {
				report(t, unusedModules(all))
			}
		})
		if !passed {
			return // the others would say the same again
		}
	}
}

// Our packages import each other downward only, in every module of the
// workspace.
func TestFloors(t *testing.T) {
	all := goList(t, nil, "work")
	report(t, floorViolations(all))
}

func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

func sorted(all packages) []pkg {
	return slices.SortedFunc(maps.Values(all), func(a, b pkg) int { return strings.Compare(a.ImportPath, b.ImportPath) })
}

// rootPackages are the module's own packages and not their test variants.
func rootPackages(all packages) []pkg {
	return slices.DeleteFunc(sorted(all), func(p pkg) bool {
		_, ours := p.ours()
		return !ours || p.Module == nil || p.Module.Path != module || isVariant(p.ImportPath)
	})
}

// isVariant recognises "p [p.test]", "p_test [p.test]" and "p.test".
func isVariant(importPath string) bool {
	return strings.Contains(importPath, " [") || strings.HasSuffix(importPath, ".test")
}

func loadErrors(all packages) (bad []string) {
	for _, p := range sorted(all) {
		if p.Error != nil {
			bad = append(bad, p.ImportPath+" doesn't load: "+p.Error.Err)
		}
	}
	return bad
}

func reachViolations(all packages) (bad []string) {
	for _, p := range rootPackages(all) {
		name, _ := p.ours()
		r, ok := ruleFor(name)
		if !ok {
			bad = append(bad, name+`: no rule fits this package; add to rules in rules_test.go: {"`+family(name)+`", spine},`)
			continue
		}
		allowed := allowedModules(all, name)
		for _, m := range reached(all, p) {
			if !slices.Contains(allowed, m) {
				bad = append(bad, name+" reaches "+m+", which the rule for "+r.path+" doesn't list: "+advice)
			}
		}
	}
	return bad
}

// allowedModules are those of the package's rule, and, below a family's root,
// those of the family's packages that it puts together: that is no new
// dependency.
func allowedModules(all packages, name string) []string {
	r, _ := ruleFor(name)
	allowed := slices.Clone(r.modules)
	for _, i := range all[module+"/"+name].Imports {
		part, ours := strings.CutPrefix(i, module+"/")
		if ours && name != family(name) && part != family(name) && family(part) == family(name) {
			allowed = append(allowed, allowedModules(all, part)...)
		}
	}
	return allowed
}

// reached are the modules of others behind a package.
func reached(all packages, p pkg) []string {
	found := map[string]bool{}
	for _, dep := range p.Deps {
		if m := all.of(dep); m != "" && m != module {
			found[m] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// testViolations: a test that imports a driver puts the driver's closure into
// the go.sum of everyone who uses the package.
func testViolations(all packages) (bad []string) {
	for _, p := range rootPackages(all) {
		name, _ := p.ours()
		r, _ := ruleFor(name)
		allowed := allowedModules(all, name)
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			if m := all.of(i); m != "" && m != module && !slices.Contains(allowed, m) {
				bad = append(bad, name+": its tests import "+i+", whose module the rule for "+r.path+
					" doesn't list: move the test to internal/integration, don't widen the list")
			}
		}
	}
	return bad
}

// unusedModules keeps the list from growing over: what nobody needs goes.
func unusedModules(all packages) (bad []string) {
	needed, matched := map[string]bool{}, map[string]bool{}
	for _, p := range rootPackages(all) {
		name, _ := p.ours()
		r, _ := ruleFor(name)
		matched[r.path] = true
		for _, m := range reached(all, p) {
			needed[r.path+" "+m] = true
		}
	}
	for _, r := range rules {
		for _, m := range r.modules {
			if matched[r.path] && !slices.Contains(spine, m) && !needed[r.path+" "+m] {
				bad = append(bad, "nothing under "+r.path+" reaches "+m+" any more: delete it from the rule")
			}
		}
	}
	return bad
}

// exempt are modules that stand on top of everything.
var exempt = []string{"examples", "internal/integration", "internal/bench", "internal/tools"}

func floorViolations(all packages) (bad []string) {
	for _, p := range sorted(all) {
		name, ours := p.ours()
		if !ours || slices.ContainsFunc(exempt, func(dir string) bool { return under(name, dir) }) {
			continue
		}
		bad = append(bad, badImports(name, p.Imports, mayImport, "imports")...)
		bad = append(bad, badImports(name, slices.Concat(p.TestImports, p.XTestImports), mayTestImport, "imports in a test")...)
	}
	return bad
}

func badImports(from string, imports []string, may func(from, to string) bool, verb string) (bad []string) {
	for _, i := range imports {
		to, ours := strings.CutPrefix(i, module+"/")
		if ours && to != from && !may(from, to) {
			bad = append(bad, from+" "+verb+" "+to+", which is above or beside it: "+advice)
		}
	}
	return bad
}
