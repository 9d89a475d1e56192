#' Train a network further, or again with other options
#'
#' Trains further if only the number of epochs, the learning rate after it, or options that only say
#' where a run is computed were changed, and the folder of the run still holds its checkpoint. Then the
#' run in the folder grows, and the result is the same as that of one longer run. Otherwise a new network
#' is trained with the options of the fit and the changes. A message says which of the two is done.
#'
#' Other data than those of the fit mean a new training. How the features of a table are scaled, their
#' radii and their bounds are options of the fit: they stay unless `eps` or `bounds` is given.
#'
#' A schedule that ends with learning rate 0 (`"cosine"`, `"one-cycle"`) cannot simply be extended:
#' more epochs then mean a new training, except with `schedule = "constant"` and a new `lr`.
#'
#' @param object A [sense_fit].
#' @param ... Options to change, by name, as in [train_sense()], and the data (`x` and `y`, or those that
#'   the fit was trained on) if they were passed to [train_sense()].
#' @param control [sense_control()] of the training; `out` names the folder of a new run.
#' @return A [sense_fit].
#' @examples
#' if (sense_available()) {
#'   fit <- train_sense(
#'     model = "capacity-1", train_size = 200, epochs = 1, schedule = "constant",
#'     control = sense_control(threads = 1, quiet = TRUE)
#'   )
#'   update(fit, epochs = 2) # trains one more epoch
#'   update(fit, c = 0.5)    # trains again
#' }
#' @seealso [train_sense()]
#' @family functions to train
#' @export
update.sense_fit <- function(object, ..., control = sense_control()) {
  check_class(control, "sense_control", "sense_control")
  if (!is.null(control$resume)) {
    abort("Leave out {.arg resume} of {.arg control}: {.fn update} finds the folder of the fit.")
  }
  check_sums(object, "object")
  changes <- named_dots(...)
  whole <- intersect(c("recipe", "config"), names(changes))
  if (length(whole)) {
    abort(c(
      "Leave out {.arg {whole}}: {.fn update} starts from the options of the fit.",
      i = "To start from other options: {.fn train_sense}."
    ))
  }
  why <- why_again(object, c(changes, control$options), control$out)
  if (is.null(why)) {
    cli::cli_inform("Training further, in {.file {object$folder}}.", class = "sense_update")
    further <- control
    further$resume <- object$folder
    # A run knows its data, except those that were passed.
    fit <- tryCatch(train_with(changes, further, sys.call()), sense_other_data = function(e) NULL)
    if (!is.null(fit)) {
      return(fit)
    }
    why <- "the data, or the scaling of the features, are others"
  }
  cli::cli_inform("Training again from the first epoch: {why}.", class = "sense_update")
  control$base <- object$description
  train_with(changes, control, sys.call())
}

# Train with the names of the data in place of their values: errors and traceback() show the call.
train_with <- function(changes, control, call) {
  control$command <- command_text(call, "update")
  arguments <- c(changes, list(control = control))
  eval(as.call(c(quote(train_sense), lapply(stats::setNames(nm = names(arguments)), as.symbol))), arguments)
}

# Why a fit cannot be trained further with these changes, or NULL.
why_again <- function(fit, changes, out) {
  config <- fit$config
  extensible <- !ends_at_zero(config) || identical(changes$schedule, "constant")
  further <- c("epochs", if (extensible) c("schedule", "lr"))
  data <- c("x", "y", "x_test", "y_test", "formula", "data", "test", "bounds", "na.action", "inputs")
  # Radii for each feature belong to the scaling of the data.
  scaling <- lengths(changes) > 1 & names(changes) == "eps"
  changed <- other_values(config, changes[!scaling])
  other <- setdiff(changed, c(further, runtime_options(fit), data))
  if (!is.null(out)) {
    "`out` names a new folder"
  } else if (length(other)) {
    paste("other options change its result:", paste(other, collapse = ", "))
  } else if (is.null(own_folder(fit)) || !file.exists(file.path(fit$folder, "checkpoint.pt"))) {
    "the folder of the fit no longer holds its checkpoint"
  } else if (is_number(changes$epochs) && changes$epochs < config$epochs) {
    "it has fewer epochs than before"
  } else if (is_number(changes$epochs) && changes$epochs > config$epochs && !extensible) {
    sprintf("its learning rate fell to 0 (schedule %s); `schedule = \"constant\"` and `lr` train further", config$schedule)
  } else if (!ends_at_zero(config) && any(c("schedule", "lr") %in% changed)) {
    "the schedule or the learning rate differs"
  }
}

ends_at_zero <- function(config) isTRUE(config$schedule %in% c("cosine", "one-cycle"))

# Options that only say where a run is computed.
runtime_options <- function(fit) {
  stored <- unlist(parse_json_text(fit$description, "config.json")$runtime_options)
  union(stored, c("data_dir", "device", "threads", "cuda_graphs", "monitor_size"))
}

# Names of the changes that differ from the options of the fit.
other_values <- function(config, changes) {
  same <- vapply(names(changes), function(name) isTRUE(all.equal(config[[name]], changes[[name]])), TRUE)
  names(changes)[!same]
}
