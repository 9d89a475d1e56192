#' The sensible training loss in its three forms
#'
#' Section 4.2 gives the loss of Definition 4 as a sum of two truncated losses
#' (equation 10), as one loss per stage (11), and as the cross-entropy at the
#' sensible example (14). The first two need only the probability of the label at the
#' point and at its regular adversarial example. `sensible_loss()` computes these, and the sensible
#' example, for a linear model, so that the three forms can be compared.
#'
#' @inheritParams sensible_examples
#' @param form `"truncated"` (10), `"partition"` (11) or `"example"` (14).
#' @return `sensible_loss()`: n losses in nats. With `c = 1` they are the natural
#'   loss; as `c` goes to 0 they approach the loss at the regular adversarial example.
#' @source Kim and Wang, section 4.2 and appendix B.3, with p_y >= c in Definition 3.
#' @examples
#' f <- linear_classifier(c(2, 0))
#' x <- rbind(c(0.5, 0), c(2, 0), c(4, 0))
#' sapply(c("truncated", "partition", "example"), function(w)
#'   sensible_loss(x, c(1, 1, 1), f, eps = 1, c = 0.9, form = w))
#' @family functions of the theory
#' @export
sensible_loss <- function(x, y, classifier, eps, c,
                          form = c("truncated", "partition", "example"), norm = 2) {
  form <- check_choice(form, c("truncated", "partition", "example"))
  check_class(classifier, "linear_classifier", "linear_classifier")
  eps <- check_number(eps, min = 0)
  c <- check_number(c, min = 0, max = 1)
  norm <- check_norm(norm)
  x <- as_points(x)
  y <- as_labels(y, nrow(x))
  margin <- y * linear_score(classifier, x)
  worst <- margin - eps * dual_norm(classifier$w, norm)
  if (form != "example") {
    return(sensible_loss_from_probabilities(stats::plogis(margin), stats::plogis(worst), c, form))
  }
  example <- sensible_examples(x, y, classifier, eps, c, misclassified = "move", norm = norm)
  -stats::plogis(y * linear_score(classifier, as_points(example)), log.p = TRUE)
}

#' @describeIn sensible_loss Equations (10) and (11) from probabilities, for any model.
#' @param p_natural Probability of the label at the point, n values in \[0, 1\].
#' @param p_adversarial The same at the regular adversarial example; at most `p_natural`.
#' @export
sensible_loss_from_probabilities <- function(p_natural, p_adversarial, c,
                               form = c("truncated", "partition")) {
  form <- check_choice(form, c("truncated", "partition"))
  c <- check_number(c, min = 0, max = 1)
  stage <- sensible_stage(p_natural, p_adversarial, c)
  if (form == "truncated") {
    return(truncated_natural_loss(p_natural, c) + truncated_adversarial_loss(p_adversarial, c))
  }
  ifelse(stage == "A", -log(p_natural), ifelse(stage == "B", -log(c), -log(p_adversarial)))
}

#' @describeIn sensible_loss The stages A, B and C, a factor.
#' @export
sensible_stage <- function(p_natural, p_adversarial, c) {
  c <- check_number(c, min = 0, max = 1)
  p_natural <- check_numbers(p_natural, min = 0, max = 1)
  p_adversarial <- check_numbers(p_adversarial, min = 0, max = 1)
  if (length(p_natural) != length(p_adversarial)) {
    abort(c("{.arg p_adversarial} must hold as many probabilities as {.arg p_natural}.",
            "x" = "You gave {length(p_adversarial)} and {length(p_natural)}."))
  }
  if (any(p_adversarial > p_natural)) {
    bad <- which(p_adversarial > p_natural)[1]
    abort(c("{.arg p_adversarial} must not exceed {.arg p_natural}.",
            "x" = "At position {bad} they are {p_adversarial[bad]} and {p_natural[bad]}.",
            "i" = "An adversary cannot make the label more probable."))
  }
  factor(ifelse(p_natural <= c, "A", ifelse(p_adversarial <= c, "B", "C")),
         levels = c("A", "B", "C"))
}

#' @describeIn sensible_loss max(0, -log p - log(1/c)), which is 0 where p >= c.
#' @param p Probabilities in \[0, 1\].
#' @export
truncated_natural_loss <- function(p, c) {
  p <- check_numbers(p, min = 0, max = 1)
  c <- check_number(c, min = 0, max = 1)
  # The limit at c = 0: no probability is below it.
  if (c == 0) return(numeric(length(p)))
  pmax(0, log(c) - log(p))
}

#' @describeIn sensible_loss min(-log p, log(1/c)), which is constant where p <= c.
#' @export
truncated_adversarial_loss <- function(p, c) {
  p <- check_numbers(p, min = 0, max = 1)
  c <- check_number(c, min = 0, max = 1)
  pmin(-log(p), -log(c))
}
