#compdef glance-replicator
# Completions of glance-replicator for zsh: as the file _glance-replicator in a directory of $fpath, or
# sourced behind compinit.
_glance-replicator() {
    local -a whole abouts begun
    local line value
    for line in "${(@f)$("$words[1]" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        value=${line%%$'\t'*}
        case $value in
            '') ;;
            # The word goes on behind these.
            *[:/=]) begun+=("$value") ;;
            *) whole+=("$value") abouts+=("${line/$'\t'/  -- }") ;;
        esac
    done
    if (( $#whole + $#begun )); then
        (( $#whole )) && compadd -l -d abouts -a whole
        (( $#begun )) && compadd -S '' -a begun
        return 0
    fi
    _files
}
if [[ $funcstack[1] == _glance-replicator ]]; then
    _glance-replicator "$@"
else
    compdef _glance-replicator glance-replicator
fi
