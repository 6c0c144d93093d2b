# Completions of glance-replicator for bash 4 or newer.
_glance_replicator() {
    local line=${COMP_LINE:0:COMP_POINT} words candidate
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    # Bash completes no more than what stands behind the last of these.
    local current=${words[-1]} breaks=${COMP_WORDBREAKS//[^:=]/} kept=
    [[ -n $breaks && $current == *[$breaks]* ]] && kept=${current%"${current##*[$breaks]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        COMPREPLY+=("${candidate#"$kept"}")
    done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
    # The word goes on behind these.
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[:/=] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _glance_replicator glance-replicator
