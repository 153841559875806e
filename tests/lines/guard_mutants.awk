# Reads guard.c and writes mutants: OUT/N.c, each with one change, and a line about each to stdout.
#     awk -v out=OUT -f guard_mutants.awk guard.c
# Changed are comparisons, conditions, arithmetic, extremes, signs, literals and early ends, one place at a time.

function way(a, b) { from[++ways] = a; to[ways] = b }

BEGIN {
    way(" < ", " >= "); way(" > ", " <= "); way(" <= ", " > "); way(" >= ", " < ")
    way(" == ", " != "); way(" && ", " || "); way(" || ", " && ")
    way(" + ", " - "); way(" - ", " + "); way(" * ", " / "); way(" / ", " * ")
    way("fmaxf(", "fminf("); way("fminf(", "fmaxf("); way("fabsf(", "("); way("sqrtf(", "(")
    way("-limit", "limit"); way("-most", "most"); way("!", ""); way("red ?", "!red ?"); way("soon ?", "!soon ?")
    way("0.5f", "0.4f"); way("0.5f", "0.6f"); way("(2 *", "(1.6f *"); way("(2 *", "(2.4f *")
    way(" 2 *", " 1.6f *"); way(" 2 *", " 2.4f *"); way(" 8 *", " 6.4f *"); way(" 8 *", " 9.6f *")
    way("continue;", ";"); way("return 0;", "return 50;")
}

{ line[NR] = $0 }

function write_mutant(at, text, what,    i, file) {
    file = out "/" ++count ".c"
    for (i = 1; i <= NR; i++) print (i == at ? text : line[i]) > file
    close(file)
    sub(/^ +/, "", text)
    print count " line " at ", " what ": " text
}

# The condition of an if on this line, negated.
function negate(at,    text, start, i, open, c) {
    text = line[at]
    start = index(text, "if (")
    if (!start) return
    for (i = start + 3; i <= length(text); i++) {
        c = substr(text, i, 1)
        open += (c == "(") - (c == ")")
        if (open == 0) break
    }
    write_mutant(at, substr(text, 1, start + 2) "(!" substr(text, start + 3, i - start - 2) ")" substr(text, i + 1), "negated")
}

END {
    for (at = 1; at <= NR; at++) {
        if (line[at] ~ /^static next next_of/) inside = 1
        if (line[at] ~ /^const char \*/) inside = 0 # names
        if (line[at] ~ /^fw_guard_veto fw_guard\(/) inside = 1
        if (!inside || line[at] ~ /^ *\/\*/) continue
        negate(at)
        for (w = 1; w <= ways; w++)
            for (skip = 0; (place = index(substr(line[at], skip + 1), from[w])) > 0; skip += place)
                write_mutant(at, substr(line[at], 1, skip + place - 1) to[w] \
                                 substr(line[at], skip + place + length(from[w])), from[w] " to " to[w])
    }
}
