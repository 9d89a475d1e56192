#' @keywords internal
#' @importFrom rlang %||% caller_arg
"_PACKAGE"
